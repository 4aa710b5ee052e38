"""One order of channels for all models of an architecture.

Models trained apart have their channels in different orders, and averages of them are noise. Every
checkpoint is therefore permuted to be as similar as possible to one reference, by weight matching
(Ainsworth et al. 2023, arXiv:2209.04836).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mzsane.stores.crew import Crew
from mzsane.stores.frames import Frame
from mzsane.stores.journal import Journal
from mzsane.stores.piles import Pile
from mzsane.stores.spool import Place, load_row
from mzsane.symmetry import Matcher, Symmetry
from mzsane.symmetry.views import parameters
from mzsane.tokens import Layout

CHUNK = 2**26  # bytes of weights that a task replaces
TINY = 1e-30  # against division by zero, for models whose weights are all zero


class Aligned(NamedTuple):
    """A row that was replaced by its canonical form; cosines with the reference."""

    checksum: int
    before: float
    after: float


class Target(NamedTuple):
    """To what a task aligns.

    Attributes:
        file: flat weights of the reference, as float32.
        symmetry: of the architecture.
        layout: of reference and rows.
        dtype: of the rows.
    """

    file: Path
    symmetry: Symmetry
    layout: Layout
    dtype: str


def align(pile: Pile, frame: Frame, journal: Journal, crew: Crew) -> Iterator[int]:
    """Replace rows of the spool by their canonical form, and yield how many after each task.

    Rows of an older store are canonical already.

    Args:
        pile: of one architecture.
        frame: to what they are aligned; without a reference nothing is done.
        journal: told of every row that was replaced.
        crew: does the work.
    """
    if frame.reference is None or frame.symmetry is None:
        return
    waiting = pile.waiting
    file = pile.folder / f"{frame.digest}.npy"
    np.save(file, frame.reference)
    target = Target(file, frame.symmetry, pile.layout, pile.dtype)
    size = min(max(CHUNK // max(frame.reference.nbytes, 1), 1), 32)
    tasks = [waiting[part] for part in crew.split(len(waiting), size)]
    work = partial(align_rows, pile.folder, target)
    results = crew.map(work, [[each.at for each in task] for task in tasks])
    try:
        for task, aligned in zip(tasks, results, strict=True):
            for member, row in zip(task, aligned, strict=True):
                journal.add_aligned(member.key, row.checksum, (row.before, row.after))
            yield len(task)
    finally:
        _prepared.cache_clear()  # it is as large as two models


def align_rows(folder: Path, target: Target, places: Sequence[Place]) -> list[Aligned]:
    """Align some rows and write them where they were.

    Raises:
        OSError: if they cannot be written.
    """
    layout, symmetry = target.layout, target.symmetry
    reference, matcher = _prepared(target)
    moving = _moving(layout, symmetry)
    aligned = []
    for place in places:
        weights, integers = load_row(folder, place, layout, target.dtype)
        state = _state(layout, weights)
        moved = symmetry.apply(state, matcher.match(state))
        row = layout.flatten(moved).numpy().astype(target.dtype, copy=False)
        before, after = (_cosine(each, reference, moving) for each in (weights, row))
        with (folder / place.file).open("r+b") as file:
            file.seek(place.offset)
            file.write(row.data)
        aligned.append(Aligned(crc32(integers, crc32(row)), before, after))
    return aligned


@lru_cache(maxsize=1)
def _prepared(target: Target) -> tuple[Float[np.ndarray, " parameters"], Matcher]:
    """The reference and what aligns to it, for all tasks of a process."""
    reference = np.load(target.file)
    return reference, Matcher(_state(target.layout, reference), target.symmetry)


def _moving(layout: Layout, symmetry: Symmetry) -> list[slice]:
    """Where in a flat vector the parameters are that the symmetry moves."""
    state = _state(layout, np.zeros(layout.parameters, np.float32))
    first = layout.offsets
    return [slice(first[n], first[n] + state[n].numel()) for n in parameters(state, symmetry)]


def _cosine(
    a: Float[np.ndarray, " parameters"], b: Float[np.ndarray, " parameters"], parts: list[slice]
) -> float:
    """Of the angle between parts of two vectors; in double precision, a part at a time."""
    inner, norms = 0.0, np.zeros(2)
    for part in parts:
        x, y = a[part].astype(np.float64), b[part].astype(np.float64)
        inner += x @ y
        norms += x @ x, y @ y
    return float(inner / max(np.sqrt(norms.prod()), TINY))


def _state(layout: Layout, flat: np.ndarray) -> dict[str, Tensor]:
    return layout.unflatten(torch.from_numpy(flat.astype(np.float32, copy=False)))
