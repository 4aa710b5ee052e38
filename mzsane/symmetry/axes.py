"""Axes of tensors as terms that are unified while a network runs.

An axis is a product of factors (heads times features of a head), a concatenation of parts, or
simply a number of channels. Two axes that meet in an operation, entry by entry, become one term;
where one is already known to be a product or a concatenation, so is the other from then on. What
remains whole at the end are channels that the network never tells apart by their order.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

SMALL = 64  # repeats of a concatenation that are worth a place each


class Part(NamedTuple):
    """Where a term lies along an axis: see `mzsane.symmetry.Place`."""

    axis: "Axis"
    outer: int
    block: int
    offset: int


class Axis:
    """A term of unification: itself, another axis, a product, or a concatenation.

    Args:
        size: entries.
        pin: why its entries cannot be exchanged; empty if nothing is known against it.
    """

    def __init__(self, size: int, pin: str = "") -> None:
        self.size = size
        self.pin = pin
        self.same: Axis | None = None
        self.factors: tuple[Axis, ...] = ()
        self.parts: tuple[Axis, ...] = ()

    def resolve(self) -> "Axis":
        """The term that stands for it now."""
        axis = self
        while axis.same is not None:
            axis = axis.same
        return axis

    def fix(self, reason: str) -> None:
        """Its entries, down to the last factor and part, are told apart by their order."""
        axis = self.resolve()
        axis.pin = axis.pin or reason
        for inner in (*axis.factors, *axis.parts):
            inner.fix(reason)

    def leaves(self) -> Iterator[Part]:
        """The whole terms that it is made of; parts repeated too often are left out."""
        yield from _leaves(self, 1, 1, 0)


def product(factors: Sequence[Axis]) -> Axis:
    """The axis whose entries are those of all factors, the last one running fastest."""
    many = [factor.resolve() for factor in factors if factor.size > 1]
    flat = [inner for factor in many for inner in (factor.factors or (factor,))]
    if len(flat) == 1:
        return flat[0]
    axis = Axis(math.prod(factor.size for factor in flat))
    axis.factors = tuple(flat)
    return axis


def concatenation(parts: Sequence[Axis]) -> Axis:
    """The axis that has the entries of all parts, one part after the other."""
    some = [part for part in parts if part.size]
    if len(some) == 1:
        return some[0]
    axis = Axis(sum(part.size for part in some))
    axis.parts = tuple(some)
    return axis


def cut(axis: Axis, sizes: Sequence[int]) -> list[Axis]:
    """The parts of an axis, which is a concatenation from now on."""
    parts = [Axis(size) for size in sizes]
    unify(axis, concatenation(parts))
    return parts


def unify(one: Axis, other: Axis) -> None:
    """Entry `i` of one axis belongs to entry `i` of the other.

    Structures that do not fit into each other are given up: their entries are fixed.
    """
    one, other = one.resolve(), other.resolve()
    if one is other:
        return
    if one.factors and other.factors:
        _align_factors(list(one.factors), list(other.factors))
    elif one.parts and other.parts:
        _align_parts(list(one.parts), list(other.parts))
    elif one.factors and other.parts:
        _distribute(one, other)
    elif one.parts and other.factors:
        _distribute(other, one)
    else:
        _bind(one, other)


def _bind(one: Axis, other: Axis) -> None:
    """At least one of the two is whole, and becomes the other."""
    if one.factors or one.parts:
        one, other = other, one
    one.same = other
    if one.pin:
        other.fix(one.pin)
    elif other.pin:
        other.fix(other.pin)


def _align_factors(left: list[Axis], right: list[Axis]) -> None:
    left, right = _flat(left), _flat(right)
    while left and right:
        if left[0].size < right[0].size:
            left, right = right, left
        first, second = left[0], right[0]
        if first.size % second.size:
            _give_up([*left, *right])
            return
        if first.size > second.size:
            rest = Axis(first.size // second.size)
            whole = Axis(first.size)
            whole.factors = (second, rest)
            left[:1] = [second, rest]
            unify(first, whole)
        else:
            unify(first, second)
            left, right = left[1:], right[1:]
        left, right = _flat(left), _flat(right)


def _flat(factors: Sequence[Axis]) -> list[Axis]:
    found = [factor.resolve() for factor in factors]
    return [inner for factor in found for inner in (_flat(factor.factors) or [factor])]


def _align_parts(left: list[Axis], right: list[Axis]) -> None:
    while left and right:
        if left[0].size < right[0].size:
            left, right = right, left
        first, second = left[0], right[0]
        if first.size > second.size:
            left[:1] = cut(first, [second.size, first.size - second.size])
        else:
            unify(first, second)
            left, right = left[1:], right[1:]


def _distribute(whole: Axis, summed: Axis) -> None:
    """A product is a concatenation as well: of blocks, or of repeats of its later factors."""
    first, rest = whole.factors[0], product(whole.factors[1:])
    sizes = [part.size for part in summed.parts]
    if all(size % rest.size == 0 for size in sizes):
        heads = cut(first, [size // rest.size for size in sizes])
        for part, head in zip(summed.parts, heads, strict=True):
            unify(part, product([head, rest]))
    else:
        _give_up([whole, summed])


def _give_up(axes: Sequence[Axis]) -> None:
    for axis in axes:
        axis.fix("its axes are cut in ways that do not fit")


def _leaves(axis: Axis, outer: int, block: int, offset: int) -> Iterator[Part]:
    axis = axis.resolve()
    if axis.factors:
        sizes = [factor.size for factor in axis.factors]
        for at, factor in enumerate(axis.factors):
            before, after = math.prod(sizes[:at]), math.prod(sizes[at + 1 :])
            yield from _leaves(factor, outer * before, block * after, offset)
    elif axis.parts and outer <= SMALL:
        starts = [0, *accumulate(part.size for part in axis.parts)]
        for repeat in range(outer):
            for part, start in zip(axis.parts, starts, strict=False):
                at = offset + (repeat * axis.size + start) * block
                yield from _leaves(part, 1, block, at)
    elif not axis.parts:
        yield Part(axis, outer, block, offset)
