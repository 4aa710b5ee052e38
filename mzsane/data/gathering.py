"""Reads one layer's share of many windows at once.

Windows of small models take microseconds each, which would be spent in the interpreter if they
were read one after the other. So the rows that all of them show are one array, and every tensor is
indexed once: by model and row, then along each axis that a group moves.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, Shaped

from mzsane.symmetry import Symmetry
from mzsane.tokens import Layer

AT_ONCE = 2**17  # entries of the layer's rows, which then stay in the processor's cache

Orders = Mapping[int, Int64[np.ndarray, "windows size"]]
"""By number of the group the order of its channels in each window."""

Index = int | Int64[np.ndarray, " rows"]

Maps = Mapping[tuple[str, int], np.ndarray]


class Window(NamedTuple):
    """Tokens to be read: of model `row` from `start` on, as many as fill `out`, contiguous."""

    row: int
    start: int
    out: Shaped[np.ndarray, "tokens d_token"]


class Part(NamedTuple):
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


class LayerPlan(NamedTuple):
    """A layer, its tensors, and how groups act on these."""

    layer: Layer
    parts: tuple[Part, ...]
    symmetry: Symmetry  # restricted to the tensors of this layer
    groups: tuple[int, ...]  # which groups of the whole symmetry those are


class _Span(NamedTuple):
    """A layer's entries in one window: from `skip` on in its rows `first` to `last`."""

    number: int
    row: int
    first: int
    last: int
    skip: int
    entries: Shaped[np.ndarray, " entries"]


def read_layer(
    plan: LayerPlan,
    models: Shaped[np.ndarray, "models parameters"],
    windows: Sequence[Window],
    numbers: Iterable[int],
    orders: Orders | None,
    padding: float,
) -> None:
    """Write the layer's tokens into the windows of these numbers, all of which show some."""
    spans = (_span(plan.layer, number, windows[number]) for number in numbers)
    for some in _portions(spans, plan.layer.stride):
        maps: Maps = {}
        if orders is not None and plan.groups:
            chosen = [span.number for span in some]
            maps = plan.symmetry.axis_maps(tuple(orders[group][chosen] for group in plan.groups))
        _write(plan, some, _rows(plan, models, some, maps, padding), padding)


def _write(
    plan: LayerPlan,
    spans: Sequence[_Span],
    rows: Shaped[np.ndarray, " entries"],
    padding: float,
) -> None:
    """Copy what the windows show of the rows of their spans."""
    if np.may_share_memory(rows, spans[0].entries):
        return  # written in their place
    end = 0
    for span in spans:
        begin, end = end, end + (span.last - span.first) * plan.layer.stride
        found = rows[begin + span.skip : end][: len(span.entries)]
        span.entries[: len(found)] = found
        span.entries[len(found) :] = padding  # behind the last row of a dense layer


def _span(layer: Layer, number: int, window: Window) -> _Span:
    row, start, out = window
    first, last = layer.first_token, layer.first_token + layer.num_tokens
    entries = out[max(first - start, 0) : last - start].reshape(-1)
    begin = max(start - first, 0) * out.shape[1]
    end = min(-(-(begin + len(entries)) // layer.stride), layer.rows)
    return _Span(number, row, begin // layer.stride, end, begin % layer.stride, entries)


def _portions(spans: Iterable[_Span], stride: int) -> Iterator[list[_Span]]:
    """Spans in their order, few enough that their rows fit into the cache together."""
    some: list[_Span] = []
    held = 0
    for span in spans:
        size = (span.last - span.first) * stride
        if some and held + size > AT_ONCE:
            yield some
            some, held = [], 0
        some.append(span)
        held += size
    yield some


def _rows(
    plan: LayerPlan, models: np.ndarray, spans: Sequence[_Span], maps: Maps, padding: float
) -> Shaped[np.ndarray, " entries"]:
    """All rows of all spans, one after the other; those of one span in their place if they fit."""
    stride, count = plan.layer.stride, sum(span.last - span.first for span in spans)
    place = spans[0].entries
    fits = len(spans) == 1 and spans[0].skip == 0 and len(place) == count * stride
    rows = (place if fits else np.empty(count * stride, place.dtype)).reshape(count, stride)
    rows[:, plan.layer.columns :] = padding
    which, model, row = _indices(spans)
    for part in plan.parts:
        block = _block(part, models, which, model, row, maps)
        rows[:, part.first : part.last] = block.reshape(count, part.last - part.first)
    return rows.reshape(-1)


def _indices(spans: Sequence[_Span]) -> tuple[Index, Index, Index | slice]:
    """For each row the number of its span, of its model, its own; of a single span once."""
    if len(spans) == 1:
        return 0, spans[0].row, slice(spans[0].first, spans[0].last)
    which = np.repeat(np.arange(len(spans)), [span.last - span.first for span in spans])
    row = np.concatenate([np.arange(span.first, span.last) for span in spans])
    return which, np.array([span.row for span in spans])[which], row


def _block(
    part: Part,
    models: np.ndarray,
    which: Index,
    model: Index,
    row: Index | slice,
    maps: Maps,
) -> Shaped[np.ndarray, "rows ..."]:
    """Rows of a tensor in several models, its axes in the order that `maps` gives them."""
    orders = {at: maps[key] for axis, at in part.moves if (key := (part.name, axis)) in maps}
    if 0 in orders:
        row = orders.pop(0)[which, row]
    count, columns = part.shape[0], math.prod(part.shape[1:])
    tensors = models[:, part.offset : part.offset + count * columns]
    block = tensors.reshape(len(models), count, columns)[model, row]  # fastest in two dimensions
    block = block.reshape(-1, *part.shape[1:])
    for at, order in orders.items():  # after the rows: only what the window shows is moved
        block = _moved(block, order[which], at)
    return block


def _moved(
    block: Shaped[np.ndarray, "rows ..."], order: Int64[np.ndarray, "*rows length"], axis: int
) -> Shaped[np.ndarray, "rows ..."]:
    """The entries along an axis in another order, which each row may have for itself."""
    if order.ndim == 1:
        return block.take(order, axis)
    rows, length = order.shape
    outer = math.prod(block.shape[1:axis])
    first = np.arange(rows * outer).reshape(rows, outer, 1) * length
    pieces = block.reshape(rows * outer * length, -1)
    return pieces.take((first + order[:, None]).reshape(-1), axis=0).reshape(block.shape)
