"""Reads windows of tokens from a model's flat vector, whatever order its channels are to have.

A permuted model is never made: each tensor of a layer is indexed by the rows that the window shows
and, along every axis that a group moves, by the permutation.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Shaped

from mzsane.data.gathering import LayerPlan, Orders, Part, Window, read_layer
from mzsane.symmetry import Group, Symmetry
from mzsane.tokens import Layer, Layout


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
        layers = (self._layers[at] for at in self._between(start, stop))
        return sorted({group for plan in layers for group in plan.groups})

    def read(
        self,
        models: Shaped[np.ndarray, "models parameters"],
        windows: Sequence[Window],
        orders: Orders | None = None,
        padding: float = 0,
    ) -> None:
        """Write the tokens of windows.

        Args:
            models: flat vectors as `Layout.flatten` gives them, perhaps mapped from a file: only
                the rows that the windows show are touched.
            windows: which tokens, and where they go; values are converted to that dtype.
            orders: for each group that acts on a window, its order there: the tokens are those of
                ``symmetry.apply(model, order)``; None leaves the channels as they are.
            padding: written where no weight is.
        """
        showing: dict[int, list[int]] = {}
        for number, (_, start, out) in enumerate(windows):
            for layer in self._between(start, start + len(out)):
                showing.setdefault(layer, []).append(number)
        for layer, numbers in showing.items():
            read_layer(self._layers[layer], models, windows, numbers, orders, padding)

    def _between(self, start: int, stop: int) -> range:
        first = max(bisect_right(self._first_tokens, start) - 1, 0)
        return range(first, bisect_right(self._first_tokens, stop - 1))


def _plan(
    layer: Layer, shapes: Mapping[str, tuple[int, ...]], layout: Layout, symmetry: Symmetry
) -> LayerPlan:
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
        parts.append(Part(name, layout.offsets[name], shape, first, first + columns, moves))
        first += columns
    return LayerPlan(layer, tuple(parts), Symmetry(tuple(acting.values())), tuple(acting))


def _rows_first(
    shape: Sequence[int], rows: int, moved: Sequence[int]
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """The shape with all axes that number rows merged into one, and where moved axes are in it."""
    # rows are numbered by the first axis, by none (a bare vector), or by leading axes of length one
    axes = next(axes for axes in range(len(shape) + 1) if math.prod(shape[:axes]) == rows)
    moves = tuple((axis, max(axis - axes + 1, 0)) for axis in sorted(moved) if shape[axis] > 1)
    return (rows, *shape[axes:]), moves
