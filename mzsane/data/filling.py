"""From what samples show to batches."""

import math
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from mzsane.data.batch import Batch
from mzsane.data.counter import named, permutations
from mzsane.data.gathering import Orders, Window
from mzsane.data.windows import WindowPlan
from mzsane.stores import Shelf
from mzsane.tokens import PLACE

KEPT = 4  # arrays: the batch in the step, those read ahead, one to fill


class Part(NamedTuple):
    """The chosen rows of one shelf; `number` is that of the shelf, see `Batch.shelf`."""

    source: int
    number: int
    shelf: Shelf
    rows: np.ndarray
    plan: WindowPlan


class Cut(NamedTuple):
    """Consecutive tokens of one model: all or a part of what a sample shows.

    `name` is what the order of its channels in the second view is drawn from.
    """

    part: Part
    row: int
    start: int
    tokens: int
    name: int


class Buffers:
    """Memory for the values of batches, used again once nobody holds a batch made of it.

    Fresh memory costs as much as filling it: each page is cleared when it is first touched. An
    array is free when only this list refers to it, for a tensor made of it, and every view of that
    tensor, keeps a reference.
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []

    def __reduce__(self) -> tuple[type["Buffers"], tuple[()]]:
        return Buffers, ()  # another process has its own

    def take(self, shape: Sequence[int]) -> Float[np.ndarray, "..."]:
        """An array of float32 of unknown content."""
        size = math.prod(shape)
        for at in range(len(self._arrays)):
            # the list's reference, and that of the call
            if sys.getrefcount(self._arrays[at]) <= 2 and self._arrays[at].size >= size:
                array = self._arrays[at]
                break
        else:
            array = np.empty(size, np.float32)
            self._arrays = [*self._arrays, array][-KEPT:]
        return array[:size].reshape(shape)


def fill(
    samples: Sequence[Sequence[Cut]],
    keys: Sequence[int],
    window: int,
    d_token: int,
    buffers: Buffers,
) -> Batch:
    """The batch that shows in each window the cuts of one sample, one after the other.

    Args:
        samples: for each, cuts of one source that together fit into the window.
        keys: number of each sample.
        window: tokens.
        d_token: entries of a token.
        buffers: where values are written.
    """
    values = buffers.take((len(samples), 2, window, d_token))
    mask = np.zeros((len(samples), window, d_token), bool)
    positions = np.zeros((len(samples), window, len(PLACE)), np.int64)
    segment = np.full((len(samples), window), -1, np.int64)
    shown: dict[int, list[tuple[Cut, np.ndarray]]] = {}
    for at, cuts in enumerate(samples):
        end = 0
        for number, cut in enumerate(cuts):
            here = slice(end, end := end + cut.tokens)
            there = slice(cut.start, cut.start + cut.tokens)
            layout = cut.part.shelf.layout
            mask[at, here] = layout.mask.numpy()[there]
            positions[at, here] = layout.positions.numpy()[there]
            segment[at, here] = number
            shown.setdefault(id(cut.part), []).append((cut, values[at, :, here]))
        values[at, :, end:] = 0
    for each in shown.values():
        _read(each)
    source = np.array([cuts[0].part.source for cuts in samples], np.int64)
    shelf = np.array([cuts[0].part.number for cuts in samples], np.int64)
    arrays = (values, mask, positions, segment, source, np.array(keys, np.int64), shelf)
    return Batch(*map(torch.from_numpy, arrays), mixed=bool(segment.any()))


def _read(shown: Sequence[tuple[Cut, np.ndarray]]) -> None:
    """Cuts of one part: tokens as they are stored, and with their channels in another order."""
    cuts = [cut for cut, _ in shown]
    models = np.asarray(cuts[0].part.shelf.weights)
    for view, drawn in enumerate((None, _orders(cuts))):
        windows = [Window(cut.row, cut.start, views[view]) for cut, views in shown]
        cuts[0].part.plan.read(models, windows, drawn)


def _orders(cuts: Sequence[Cut]) -> Orders:
    """Uniform draws for the groups that act on each cut; the others would change nothing."""
    shelf, plan = cuts[0].part.shelf, cuts[0].part.plan
    names = np.array([cut.name for cut in cuts])
    acting: dict[int, list[int]] = {}
    for number, cut in enumerate(cuts):
        for group in plan.groups(cut.start, cut.start + cut.tokens):
            acting.setdefault(group, []).append(number)
    drawn = {}
    for group, numbers in acting.items():
        size = shelf.symmetry.groups[group].size
        drawn[group] = np.zeros((len(cuts), size), np.int64)
        drawn[group][numbers] = permutations(named(names[numbers], group), size)
    return drawn
