"""Permutation symmetries: found by tracing, proven by running, used to align models."""

from mzsane.symmetry.groups import Group, Permutation, Place, Symmetry

__all__ = ["Group", "Permutation", "Place", "Symmetry"]
