"""One order of channels for all models of an architecture.

Models trained apart have their channels in different orders, and averages of them are noise. Every
checkpoint is therefore permuted to be as similar as possible to one reference, by weight matching
(Ainsworth et al. 2023, arXiv:2209.04836).
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Bool, Float
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
    for task, aligned in zip(tasks, results, strict=True):
        for member, row in zip(task, aligned, strict=True):
            journal.add_aligned(member.key, row.checksum, (row.before, row.after))
        yield len(task)


def align_rows(folder: Path, target: Target, places: Sequence[Place]) -> list[Aligned]:
    """Align some rows and write them where they were.

    Raises:
        OSError: if they cannot be written.
    """
    layout, symmetry = target.layout, target.symmetry
    reference = np.load(target.file)
    matcher, moving = Matcher(_state(layout, reference), symmetry), _moving(layout, symmetry)
    aligned = []
    for place in places:
        weights, integers = load_row(folder, place, layout, target.dtype)
        state = _state(layout, weights)
        moved = symmetry.apply(state, matcher.match(state))
        row = layout.flatten(moved).numpy().astype(target.dtype)
        before, after = (_cosine(each[moving], reference[moving]) for each in (weights, row))
        content = row.tobytes() + integers.tobytes()
        with (folder / place.file).open("r+b") as file:
            file.seek(place.offset)
            file.write(content)
        aligned.append(Aligned(crc32(content), before, after))
    return aligned


def _moving(layout: Layout, symmetry: Symmetry) -> Bool[np.ndarray, " parameters"]:
    """Which entries of a flat vector belong to parameters that the symmetry moves."""
    moving = np.zeros(layout.parameters, bool)
    state = _state(layout, np.zeros(layout.parameters))
    for name in parameters(state, symmetry):
        moving[layout.offsets[name] :][: state[name].numel()] = True
    return moving


def _cosine(a: Float[np.ndarray, " entries"], b: Float[np.ndarray, " entries"]) -> float:
    """Of the angle between two vectors."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / max(np.sqrt((a @ a) * (b @ b)), TINY))


def _state(layout: Layout, flat: np.ndarray) -> dict[str, Tensor]:
    return layout.unflatten(torch.from_numpy(np.array(flat, np.float32)))
