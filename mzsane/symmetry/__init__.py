"""Permutation symmetries: found by tracing, proven by running, used to align models."""

from mzsane.symmetry.groups import Group, Permutation, Place, Symmetry
from mzsane.symmetry.matching import Matcher, match, similarity
from mzsane.symmetry.proof import trace_error
from mzsane.symmetry.tracing import trace

__all__ = [
    "Group",
    "Matcher",
    "Permutation",
    "Place",
    "Symmetry",
    "match",
    "similarity",
    "trace",
    "trace_error",
]
