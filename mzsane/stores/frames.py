"""The symmetry of an architecture, and the model to which the others are aligned."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mzsane.stores.piles import Pile
from mzsane.stores.proving import symmetries_of
from mzsane.symmetry import Group, Symmetry
from mzsane.symmetry.given import Given
from mzsane.tokens import Layout
from mzsane.zoos import split_of


class Frame(NamedTuple):
    """To what the models of one architecture are aligned.

    Attributes:
        symmetry: None if the architecture is unknown or could not be traced.
        untraced: why so.
        by_hand: what became of groups given by hand, in words; empty if none were.
        reference: flat weights of the reference; None aligns nothing.
        row: of the reference, in the order in which rows are stored; None if from outside.
    """

    symmetry: Symmetry | None
    untraced: str = ""
    by_hand: str = ""
    reference: np.ndarray | None = None
    row: int | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the reference; empty without one."""
        return "" if self.reference is None else sha256(self.reference.tobytes()).hexdigest()


def frames_of(
    piles: Sequence[Pile],
    align: bool,
    references: Mapping[str, Mapping[str, Tensor]],
    given: Mapping[str, Given] | None,
) -> list[Frame]:
    """Trace each architecture and choose its reference.

    The reference is the caller's for this architecture; else that of the older store whose rows
    are carried over; else, of the first model by name in the train split (of all models, if none
    is in it), the last epoch. Architectures of equal tensors and symmetry, such as networks with
    other nonlinearities, share the reference of the first of them.

    Args:
        piles: one for each architecture.
        align: whether anything is aligned.
        references: of the caller, by fingerprint of the architecture.
        given: groups by hand, see `Symmetry.of_places`, which replace tracing wherever they fit;
            None traces.

    Raises:
        ValueError: if a given reference has other tensors than the models, or the reference of an
            older store is neither in it nor given; groups by hand that fit no architecture, or
            change what a network computes.
    """
    symmetries = symmetries_of(piles, given)
    frames: dict[int, Frame] = {}
    shared: dict[tuple[Layout, tuple[Group, ...]], np.ndarray] = {}
    # older ones first: who joins them is aligned to their reference
    for at in sorted(range(len(piles)), key=lambda at: piles[at].shelf is None):
        symmetry, untraced, by_hand = symmetries[at]
        frames[at] = Frame(symmetry, untraced, by_hand)
        if align and symmetry is not None and symmetry.groups:
            alike = (piles[at].layout, symmetry.groups)
            row, reference = _reference(piles[at], piles, references, shared.get(alike))
            shared.setdefault(alike, reference)
            frames[at] = Frame(symmetry, untraced, by_hand, reference, row)
    return [frames[at] for at in range(len(piles))]


def _reference(
    pile: Pile,
    piles: Sequence[Pile],
    references: Mapping[str, Mapping[str, Tensor]],
    shared: np.ndarray | None,
) -> tuple[int | None, np.ndarray]:
    """Its row, if it is in this pile, and its weights."""
    built = pile.architecture
    if built is not None and built.fingerprint in references:
        flat = pile.layout.flatten(references[built.fingerprint])
        return None, flat.to(getattr(torch, pile.dtype)).numpy()
    if pile.shelf is not None:
        return _inherited(pile, piles)
    if shared is not None:
        return None, shared
    row = _reference_row([member.key for member in pile.members])
    return row, np.array(pile.row(pile.members[row])[0])


def _inherited(pile: Pile, piles: Sequence[Pile]) -> tuple[int | None, np.ndarray]:
    """The reference to which the older store's rows were aligned."""
    for each in piles:
        owner = each.shelf
        if owner is not None and owner.frame == pile.shelf.frame and owner.reference is not None:
            places = [member.at for member in pile.members]
            row = places.index(owner.reference) if each is pile else None
            return row, np.array(owner.weights[owner.reference])
    raise ValueError(
        f"{pile.shelf.path}: its models are aligned to one outside of it; give the same references"
    )


def _reference_row(keys: Sequence[tuple[str, int]]) -> int:
    """`keys` are sorted, so the last row of the first model is its last epoch."""
    models = [model for model, _ in keys]
    first = next((model for model in models if split_of(model) == "train"), models[0])
    return len(models) - 1 - models[::-1].index(first)
