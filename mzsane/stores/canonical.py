"""One order of channels for all models of an architecture.

Models trained apart have their channels in different orders, and averages of them are noise. Every
checkpoint is therefore permuted to be as similar as possible to one reference, by weight matching
(Ainsworth et al. 2023, arXiv:2209.04836).
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.stores.spool import Pile
from mzsane.symmetry import Matcher, Symmetry, similarity, trace
from mzsane.tokens import Layout
from mzsane.zoos import split_of

CHUNK = 2**26  # bytes of weights a worker is given at once
TINY = 1e-30  # against division by zero, for models whose weights are all zero


class Row(NamedTuple):
    """A checkpoint in canonical form; similarities are None if it was not aligned."""

    weights: np.ndarray
    before: float | None = None
    after: float | None = None


class Frame(NamedTuple):
    """To what the models of one architecture are aligned.

    Attributes:
        symmetry: None if the architecture is unknown or could not be traced.
        untraced: why so.
        reference: flat weights of the reference; None aligns nothing.
        row: of the reference, in the order in which rows are stored; None if from outside.
    """

    symmetry: Symmetry | None
    untraced: str
    reference: np.ndarray | None
    row: int | None

    @property
    def digest(self) -> str:
        """SHA-256 of the reference; empty without one."""
        return "" if self.reference is None else sha256(self.reference.tobytes()).hexdigest()


def frame_of(
    pile: Pile, align: bool, references: Mapping[str, Mapping[str, Tensor]] | None
) -> Frame:
    """Trace the architecture and choose the reference.

    That is the caller's for this architecture; else, of the first model by name in the train split
    (of all models, if none is in it), the last epoch.

    Raises:
        ValueError: if the caller's reference has other tensors than the models.
    """
    symmetry, untraced = _symmetry(pile.architecture, pile.layout)
    if not align or symmetry is None or not symmetry.groups:
        return Frame(symmetry, untraced, None, None)
    given = (references or {}).get(pile.architecture.fingerprint) if pile.architecture else None
    if given is not None:
        flat = pile.layout.flatten(given).to(getattr(torch, pile.dtype))
        return Frame(symmetry, untraced, flat.numpy(), None)
    keys = [pile.keys[at] for at in pile.order()]
    row = _reference_row(keys)
    return Frame(symmetry, untraced, np.array(pile.rows()[pile.order()[row]]), row)


def canonical_rows(pile: Pile, frame: Frame, workers: int) -> Iterator[Row]:
    """Checkpoints in canonical form, ordered by model and epoch, as they become ready.

    Args:
        pile: of one architecture.
        frame: to what they are aligned.
        workers: processes that match weights.
    """
    rows, order = pile.rows(), pile.order()
    if frame.reference is None:
        return (Row(rows[at]) for at in order)
    size = min(max(CHUNK // max(rows[:1].nbytes, 1), 1), 32)
    chunks = (order[first : first + size] for first in range(0, len(order), size))
    work = (
        delayed(_aligned)(rows, chunk, pile.layout, frame.symmetry, frame.reference)
        for chunk in chunks
    )
    return chain.from_iterable(Parallel(n_jobs=workers, return_as="generator")(work))


def _aligned(
    rows: np.ndarray, chunk: list[int], layout: Layout, symmetry: Symmetry, reference: np.ndarray
) -> list[Row]:
    """Some rows, permuted towards the reference, with cosines before and after."""
    target = _state(layout, reference)
    matcher, length = Matcher(target, symmetry), similarity(target, target, symmetry)
    aligned = []
    for at in chunk:
        state = _state(layout, rows[at])
        moved = symmetry.apply(state, matcher.match(state))
        scale = max(length * similarity(state, state, symmetry), TINY) ** 0.5
        before, after = (similarity(each, target, symmetry) / scale for each in (state, moved))
        aligned.append(Row(layout.flatten(moved).numpy().astype(rows.dtype), before, after))
    return aligned


def _state(layout: Layout, flat: np.ndarray) -> dict[str, Tensor]:
    return layout.unflatten(torch.from_numpy(np.array(flat, np.float32)))


def _reference_row(keys: list[tuple[str, int]]) -> int:
    """`keys` are sorted, so the last row of the first model is its last epoch."""
    models = [model for model, _ in keys]
    first = next((model for model in models if split_of(model) == "train"), models[0])
    return len(models) - 1 - models[::-1].index(first)


def _symmetry(architecture: Architecture | None, layout: Layout) -> tuple[Symmetry | None, str]:
    """The symmetry, or None and the reason why there is none."""
    if architecture is None:
        return None, "the zoo does not say how to build its models; give their architecture"
    try:
        network = architecture.build(seed=0)
        if mismatch := _mismatch(network.state_dict(), layout):
            return None, f"{architecture.name}: {mismatch}"
        generator = torch.Generator().manual_seed(0)
        return trace(network, torch.randn(2, *architecture.input_shape, generator=generator)), ""
    except ValueError as error:
        return None, f"{architecture.name}: {error}"


def _mismatch(built: Mapping[str, Tensor], layout: Layout) -> str:
    """The first tensor in which a network differs from the models said to be of its kind."""
    expected = {name: tuple(tensor.shape) for name, tensor in built.items()}
    found = {name: shape for name, shape, _ in layout.shapes}
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            return f"{name} is {found.get(name)} in the zoo, {expected.get(name)} in the network"
    return ""
