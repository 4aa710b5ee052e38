"""Permutation symmetries of an architecture: which channels can be exchanged, and where.

Exchanging two hidden channels of a network, in the layer that writes them and in every layer that
reads them, leaves its function as it was (Hecht-Nielsen 1990). Channels tied together by residual
streams, normalisations or flattening move as one; such a set is a `Group`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

Permutation = tuple[np.ndarray, ...]
"""One int64 array per group; entry `i` is the channel that moves to place `i`."""


class Place(NamedTuple):
    """An axis of a tensor along which a group acts.

    The axis is read as ``(outer, group.size, block)``: flattening an image gives every channel a
    `block` of neighbouring features, and a concatenation of copies gives `outer` repeats.
    """

    tensor: str
    axis: int
    outer: int = 1
    block: int = 1


@dataclass(frozen=True)
class Group:
    """Channels that can be put in any order, together in all of `places`.

    Args:
        name: of the first tensor in state-dict order that it touches.
        size: number of channels.
        places: where it acts; an axis belongs to one group at most.
    """

    name: str
    size: int
    places: tuple[Place, ...]


@dataclass(frozen=True)
class Symmetry:
    """All permutation groups of one architecture.

    Args:
        groups: those proven to leave the function as it is.
        rejected: couplings that failed the proof, each with its reason.
    """

    groups: tuple[Group, ...]
    rejected: tuple[str, ...] = ()

    @property
    def tensors(self) -> tuple[str, ...]:
        """Names of the tensors that any group touches, each once."""
        return tuple(dict.fromkeys(place.tensor for group in self.groups for place in group.places))

    def identity(self) -> Permutation:
        """The permutation that moves nothing."""
        return tuple(np.arange(group.size) for group in self.groups)

    def random(self, rng: np.random.Generator) -> Permutation:
        """A uniform draw, the identity included."""
        return tuple(rng.permutation(group.size) for group in self.groups)

    def inverse(self, permutation: Permutation) -> Permutation:
        """Undoes `permutation`: applying both, in either order, moves nothing."""
        return tuple(np.argsort(source) for source in permutation)

    def compose(self, first: Permutation, second: Permutation) -> Permutation:
        """One permutation that does what applying `first` and then `second` does."""
        return tuple(before[after] for before, after in zip(first, second, strict=True))

    def axis_maps(self, permutation: Permutation) -> dict[tuple[str, int], Int64[np.ndarray, "_"]]:
        """For each (tensor, axis) that moves: the index that its entry `i` is taken from."""
        return {
            (place.tensor, place.axis): along_axis(source, place)
            for group, source in zip(self.groups, permutation, strict=True)
            for place in group.places
        }

    def apply(self, state: Mapping[str, Tensor], permutation: Permutation) -> dict[str, Tensor]:
        """The state dict, parameters and buffers, with its channels in another order.

        Tensors that no group touches are passed on as they are, not copied.

        Raises:
            ValueError: the state dict lacks a tensor that the symmetry acts on, or has it in
                another shape.
        """
        permuted = dict(state)
        for (name, axis), source in self.axis_maps(permutation).items():
            check_place(state, name, axis, len(source))
            index = torch.from_numpy(source).to(permuted[name].device)
            permuted[name] = permuted[name].index_select(axis, index)
        return permuted

    def to_json(self) -> str:
        """All groups, and what was rejected."""
        groups = [[group.name, group.size, group.places] for group in self.groups]
        return json.dumps({"groups": groups, "rejected": list(self.rejected)})

    @classmethod
    def from_json(cls, text: str) -> "Symmetry":
        """Inverse of `to_json`."""
        document = json.loads(text)
        groups = (
            Group(name, size, tuple(Place(*place) for place in places))
            for name, size, places in document["groups"]
        )
        return cls(tuple(groups), tuple(document["rejected"]))


def along_axis(source: np.ndarray, place: Place) -> np.ndarray:
    """A permutation of channels as one of all indices of an axis, which moves blocks as a whole."""
    if place.outer == place.block == 1:
        return source
    repeats = np.arange(place.outer)[:, None, None] * len(source) * place.block
    blocks = source[None, :, None] * place.block
    return (repeats + blocks + np.arange(place.block)).reshape(-1)


def check_place(state: Mapping[str, Tensor], name: str, axis: int, length: int) -> None:
    if name not in state:
        raise ValueError(f"state dict: {name} is missing, on which the symmetry acts")
    if state[name].ndim <= axis or state[name].shape[axis] != length:
        raise ValueError(
            f"state dict: axis {axis} of {name} should have length {length}, "
            f"but its shape is {tuple(state[name].shape)}"
        )
