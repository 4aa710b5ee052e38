"""Permutation symmetries: found by tracing, proven by running, used to align models."""

from mzsane.symmetry.facing import Faces, Facing, facing_distances
from mzsane.symmetry.groups import Permutation, Symmetry
from mzsane.symmetry.matching import Matcher, match, similarity
from mzsane.symmetry.places import Group, Place
from mzsane.symmetry.running import trace_error
from mzsane.symmetry.tracing import trace, verify

__all__ = [
    "Faces",
    "Facing",
    "Group",
    "Matcher",
    "Permutation",
    "Place",
    "Symmetry",
    "facing_distances",
    "match",
    "similarity",
    "trace",
    "trace_error",
    "verify",
]
