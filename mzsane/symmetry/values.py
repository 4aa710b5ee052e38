"""Tensors as operations see them, and the plainest way in which they meet."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mzsane.symmetry.axes import Axis, unify

SPATIAL = "it is a position in space or time"
CHOSEN = "some of its entries are chosen by their place"


class Value(NamedTuple):
    """A tensor as an operation sees it: one term for each axis."""

    axes: list[Axis]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(axis.size for axis in self.axes)


Rule = Callable[[Sequence[Any], tuple[int, ...]], list[Axis]]
"""From an operation's arguments, tensors replaced by values, and the shape of its first result to
the axes of that result."""


def meet(one: Axis, other: Axis) -> None:
    """Unify two axes that face each other, unless one of them is broadcast."""
    if one.size == other.size:
        unify(one, other)


def meet_all(axes: Sequence[Axis], value: Value) -> None:
    """A tensor is broadcast onto these axes, the last ones facing each other."""
    for axis, other in zip(reversed(axes), reversed(value.axes), strict=False):
        meet(axis, other)


def elementwise(values: Sequence[Value], shape: tuple[int, ...]) -> list[Axis]:
    """The axes of what tensors give entry by entry, after broadcasting."""
    axes = [Axis(size) for size in shape]
    for value in values:
        meet_all(axes, value)
    return axes


def values_of(arguments: Sequence[Any]) -> list[Value]:
    """All tensors among the arguments, those in lists too."""
    found = []
    for argument in arguments:
        if isinstance(argument, Value):
            found.append(argument)
        elif isinstance(argument, list):
            found += values_of(argument)
    return found


def fix_all(axes: Sequence[Axis], reason: str) -> None:
    """Entries of all these axes are told apart by their order."""
    for axis in axes:
        axis.fix(reason)
