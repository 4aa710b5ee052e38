"""Reads windows of tokens from a model's flat vector, whatever order its channels are to have.

A permuted model is never made: each tensor of a layer is indexed by the rows that the window shows
and, along every axis that a group moves, by the permutation.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from mzsane.symmetry import Group, Symmetry
from mzsane.tokens import Layer, Layout

Orders = Mapping[int, np.ndarray] | Sequence[np.ndarray]
"""A `Permutation`, or only those of its groups that act on the window, by their number."""


class _Part(NamedTuple):
    """A tensor as the columns `first` to `last` of a layer's rows, `[rows, *axes]`.

    It begins at `offset` in the flat vector. `moves` lists (axis of the tensor, axis here) of those
    that a group may permute.
    """

    name: str
    offset: int
    shape: tuple[int, ...]
    first: int
    last: int
    moves: tuple[tuple[int, int], ...]


class _LayerPlan(NamedTuple):
    layer: Layer
    parts: tuple[_Part, ...]
    symmetry: Symmetry  # restricted to the tensors of this layer
    groups: tuple[int, ...]  # which groups of the whole symmetry those are


class WindowPlan:
    """Where the weights of any window lie, worked out once for one layout and symmetry."""

    def __init__(self, layout: Layout, symmetry: Symmetry | None = None) -> None:
        shapes = {name: shape for name, shape, _ in layout.shapes}
        self.d_token, self.num_tokens = layout.d_token, layout.num_tokens
        layers = [layer for layer in layout.layers if layer.num_tokens]
        self._layers = [_plan(layer, shapes, layout, symmetry or Symmetry(())) for layer in layers]
        self._first_tokens = [layer.first_token for layer in layers]

    def groups(self, start: int, stop: int) -> list[int]:
        """Numbers of the groups that act on tokens `start` to `stop`, ascending."""
        return sorted({group for plan in self._between(start, stop) for group in plan.groups})

    def read(
        self,
        flat: Shaped[np.ndarray, " parameters"],
        start: int,
        out: Shaped[np.ndarray, "window d_token"],
        orders: Orders | None = None,
        padding: float = 0,
    ) -> None:
        """Write the tokens from `start` on into all of `out`, which is contiguous.

        Args:
            flat: a model as `Layout.flatten` gives it, perhaps mapped from a file: only the rows
                that the window shows are touched.
            start: first token.
            out: as many tokens as are wanted; values are converted to its dtype.
            orders: the tokens are those of ``symmetry.apply(model, orders)``; None leaves the
                channels as they are.
            padding: written where no weight is.
        """
        for plan in self._between(start, start + len(out)):
            first = plan.layer.first_token
            begin = max(start, first)
            end = min(start + len(out), first + plan.layer.num_tokens)
            tokens = out[begin - start : end - start].reshape(-1)
            _read(plan, flat, (begin - first) * self.d_token, tokens, orders, padding)

    def _between(self, start: int, stop: int) -> list[_LayerPlan]:
        first = max(bisect_right(self._first_tokens, start) - 1, 0)
        return self._layers[first : bisect_right(self._first_tokens, stop - 1)]


def _plan(
    layer: Layer, shapes: Mapping[str, tuple[int, ...]], layout: Layout, symmetry: Symmetry
) -> _LayerPlan:
    names = {name for name, _ in layer.pieces}
    acting = {
        at: Group(group.name, group.size, places)
        for at, group in enumerate(symmetry.groups)
        if (places := tuple(place for place in group.places if place.tensor in names))
    }
    moved = {(place.tensor, place.axis) for group in acting.values() for place in group.places}
    parts, first = [], 0
    for name, columns in layer.pieces:
        shape, moves = _rows_first(shapes[name], layer.rows, [a for n, a in moved if n == name])
        parts.append(_Part(name, layout.offsets[name], shape, first, first + columns, moves))
        first += columns
    return _LayerPlan(layer, tuple(parts), Symmetry(tuple(acting.values())), tuple(acting))


def _rows_first(
    shape: Sequence[int], rows: int, moved: Sequence[int]
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """The shape with all axes that number rows merged into one, and where moved axes are in it."""
    # rows are numbered by the first axis, by none (a bare vector), or by leading axes of length one
    axes = next(axes for axes in range(len(shape) + 1) if math.prod(shape[:axes]) == rows)
    moves = tuple((axis, max(axis - axes + 1, 0)) for axis in sorted(moved) if shape[axis] > 1)
    return (rows, *shape[axes:]), moves


def _read(
    plan: _LayerPlan,
    flat: np.ndarray,
    begin: int,
    tokens: Shaped[np.ndarray, " entries"],
    orders: Orders | None,
    padding: float,
) -> None:
    """Write a layer's entries from `begin` on into `tokens`."""
    layer = plan.layer
    first = begin // layer.stride
    rows = slice(first, min(-(-(begin + len(tokens)) // layer.stride), layer.rows))
    count = (rows.stop - first) * layer.stride
    aligned = begin == first * layer.stride and len(tokens) == count  # nothing but whole rows
    whole = (tokens if aligned else np.empty(count, tokens.dtype)).reshape(-1, layer.stride)
    whole[:, layer.columns :] = padding
    maps = {}
    if orders is not None and plan.groups:
        maps = plan.symmetry.axis_maps(tuple(orders[group] for group in plan.groups))
    for part in plan.parts:
        block = _block(part, flat, rows, maps)
        whole[:, part.first : part.last] = block.reshape(len(block), part.last - part.first)
    if not aligned:
        entries = whole.reshape(-1)[begin - first * layer.stride :][: len(tokens)]
        tokens[: len(entries)] = entries
        tokens[len(entries) :] = padding  # behind the last row of a dense layer


def _block(
    part: _Part, flat: np.ndarray, rows: slice, maps: Mapping[tuple[str, int], np.ndarray]
) -> np.ndarray:
    """Some rows of a tensor, its axes in the order that `maps` gives them."""
    tensor = flat[part.offset : part.offset + math.prod(part.shape)].reshape(part.shape)
    orders = {at: maps[key] for axis, at in part.moves if (key := (part.name, axis)) in maps}
    block = tensor.take(orders.pop(0)[rows], axis=0) if 0 in orders else tensor[rows]
    for at, order in orders.items():  # after the rows: only what the window shows is moved
        block = block.take(order, axis=at)
    return block
