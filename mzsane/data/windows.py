"""Where the entries of a window lie in a model's flat vector, whatever order its channels have.

A permuted view is never made: permuting a model and cutting a window out of its tokens reads each
entry from some place of the stored vector, and these places are computed for the window alone.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from mzsane.symmetry import Group, Permutation, Symmetry
from mzsane.tokens import Layer, Layout

KEPT = 2**16  # entries of a layer whose plan is kept: half a megabyte
Plan = Int64[np.ndarray, "window d_token"]
AxisMaps = Mapping[tuple[str, int], np.ndarray]


def window_index(
    layout: Layout,
    start: int,
    stop: int,
    symmetry: Symmetry | None = None,
    permutation: Permutation | None = None,
) -> Plan:
    """Place in the flat vector of each entry of tokens `start` to `stop`, -1 for padding.

    With `symmetry` and `permutation` the tokens are those of
    ``symmetry.apply(model, permutation)``, the places still those of the model as it is. For many
    windows of one layout, keep a `WindowPlan`.
    """
    return WindowPlan(layout, symmetry).index(start, stop, permutation)


class _Part(NamedTuple):
    """A tensor as the columns `first` to `last` of a layer's rows.

    An entry's place in the flat vector is `offset` plus a step for its index on each axis. The
    leading `row_axes` number the rows; the others number the columns.
    """

    name: str
    offset: int
    steps: tuple[np.ndarray, ...]  # of each axis, channels in their order
    row_axes: int
    first: int
    last: int
    by_row: np.ndarray  # the sums, channels in their order
    by_column: np.ndarray


class _LayerPlan(NamedTuple):
    layer: Layer
    parts: tuple[_Part, ...]
    symmetry: Symmetry  # restricted to the tensors of this layer
    groups: tuple[int, ...]  # which groups of the whole symmetry those are
    entries: np.ndarray | None  # all, channels in their order; None if too many to keep


class WindowPlan:
    """What `window_index` needs to know of one layout and symmetry, worked out once."""

    def __init__(self, layout: Layout, symmetry: Symmetry | None = None) -> None:
        shapes = {name: shape for name, shape, _ in layout.shapes}
        self.d_token, self.num_tokens = layout.d_token, layout.num_tokens
        self._layers = [
            _plan(layer, shapes, layout, symmetry or Symmetry(())) for layer in layout.layers
        ]
        self._first_tokens = [layer.first_token for layer in layout.layers]

    def index(self, start: int, stop: int, permutation: Permutation | None = None) -> Plan:
        """See `window_index`; None leaves the channels in their order."""
        index = np.full((stop - start, self.d_token), -1, np.int64)
        at = bisect_right(self._first_tokens, start) - 1
        while at < len(self._layers) and self._first_tokens[at] < stop:
            self._fill(index, self._layers[at], start, permutation)
            at += 1
        return index

    def _fill(
        self, index: Plan, plan: _LayerPlan, start: int, permutation: Permutation | None
    ) -> None:
        """Write the places of one layer's tokens into a window that begins at `start`."""
        first = plan.layer.first_token
        begin = max(start, first) - first
        end = min(start + len(index), first + plan.layer.num_tokens) - first
        if end <= begin:  # a layer without entries
            return
        span = slice(begin * self.d_token, end * self.d_token)
        if permutation is None and plan.entries is not None:
            entries = plan.entries[span]
        else:
            entries = _entries(plan, span, permutation)
        tokens = index[begin + first - start : end + first - start]
        tokens.reshape(-1)[: len(entries)] = entries  # the rest of a dense layer is padding


def _plan(
    layer: Layer,
    shapes: Mapping[str, tuple[int, ...]],
    layout: Layout,
    symmetry: Symmetry,
) -> _LayerPlan:
    parts, first = [], 0
    for name, columns in layer.pieces:
        parts.append(
            _part(name, shapes[name], layout.offsets[name], layer.rows, first, first + columns)
        )
        first += columns
    names = {part.name for part in parts}
    acting = {
        at: Group(group.name, group.size, places)
        for at, group in enumerate(symmetry.groups)
        if (places := tuple(place for place in group.places if place.tensor in names))
    }
    groups = Symmetry(tuple(acting.values())), tuple(acting)
    plan = _LayerPlan(layer, tuple(parts), *groups, entries=None)
    size = layer.num_tokens * layout.d_token
    return plan._replace(entries=_entries(plan, slice(0, size), None)) if 0 < size <= KEPT else plan


def _entries(plan: _LayerPlan, span: slice, permutation: Permutation | None) -> np.ndarray:
    """Places of a span of a layer's entries; what lies beyond its last row is left out."""
    stride, maps = plan.layer.stride, _axis_maps(plan, permutation)
    rows = slice(span.start // stride, min(-(-span.stop // stride), plan.layer.rows))
    places = np.full((rows.stop - rows.start, stride), -1, np.int64)
    for part in plan.parts:
        by_row, by_column = _places(part, maps)
        np.add(by_row[rows, None], by_column, out=places[:, part.first : part.last])
    before = rows.start * stride
    return places.reshape(-1)[span.start - before : span.stop - before]


def _part(name: str, shape: Sequence[int], offset: int, rows: int, first: int, last: int) -> _Part:
    strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    steps = [np.arange(size) * stride for size, stride in zip(shape, strides, strict=True)]
    # rows are numbered by the first axis, by none (a bare vector), or by leading axes of length one
    axes = next(axes for axes in range(len(shape) + 1) if math.prod(shape[:axes]) == rows)
    sums = offset + _sums(steps[:axes]), _sums(steps[axes:])
    return _Part(name, offset, tuple(steps), axes, first, last, *sums)


def _axis_maps(plan: _LayerPlan, permutation: Permutation | None) -> AxisMaps:
    if permutation is None or not plan.groups:
        return {}
    return plan.symmetry.axis_maps(tuple(permutation[group] for group in plan.groups))


def _places(part: _Part, maps: AxisMaps) -> tuple[np.ndarray, np.ndarray]:
    """Flat places as what the row contributes and what the column adds to it."""
    moved = {
        axis: maps[key] for axis in range(len(part.steps)) if (key := (part.name, axis)) in maps
    }
    if not moved:
        return part.by_row, part.by_column
    steps = [step[moved[axis]] if axis in moved else step for axis, step in enumerate(part.steps)]
    columns = part.by_column if max(moved) < part.row_axes else _sums(steps[part.row_axes :])
    return part.offset + _sums(steps[: part.row_axes]), columns


def _sums(steps: Sequence[np.ndarray]) -> np.ndarray:
    """All sums with one summand of each array, in row-major order."""
    return reduce(lambda sums, step: np.add.outer(sums, step).reshape(-1), steps, np.zeros(1, int))
