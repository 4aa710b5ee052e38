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
    """Part of an axis of a tensor, along which a group acts.

    The part begins at `offset` and is read as ``(outer, group.size, block)``: flattening an image
    gives every channel a `block` of neighbouring features, and a layer that computes queries, keys
    and values holds every head `outer` = 3 times. A concatenation has several groups on one axis.

    Args:
        tensor: its name in the state dict.
        axis: which of its axes.
        outer: repeats of all channels.
        block: neighbouring entries that belong to one channel.
        offset: entries of the axis before the part.
        length: of the whole axis; 0 if it ends where the part ends.
    """

    tensor: str
    axis: int
    outer: int = 1
    block: int = 1
    offset: int = 0
    length: int = 0


@dataclass(frozen=True)
class Group:
    """Channels that can be put in any order, together in all of `places`.

    Args:
        name: of the first tensor in state-dict order that it touches.
        size: number of channels.
        places: where it acts. Places of several groups on one axis are apart or nested, so that
            the order in which groups act does not matter.
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
        maps: dict[tuple[str, int], np.ndarray] = {}
        for group, source in zip(self.groups, permutation, strict=True):
            for place in group.places:
                key, taken = (place.tensor, place.axis), along_axis(source, place)
                maps[key] = maps[key][taken] if key in maps else taken
        return maps

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
    moved = source
    if place.outer > 1 or place.block > 1:
        repeats = np.arange(place.outer)[:, None, None] * len(source) * place.block
        blocks = source[None, :, None] * place.block
        moved = (repeats + blocks + np.arange(place.block)).reshape(-1)
    end = place.offset + len(moved)
    if place.offset == 0 and place.length <= end:
        return moved
    whole = np.arange(max(place.length, end))
    whole[place.offset : end] = moved + place.offset
    return whole


def compatible(place: Place, size: int, other: Place, other_size: int) -> bool:
    """Whether two groups may act on these places: on different axes, apart, or nested."""
    if (place.tensor, place.axis) != (other.tensor, other.axis):
        return True
    extent, other_extent = (p.outer * n * p.block for p, n in ((place, size), (other, other_size)))
    if place.offset + extent <= other.offset or other.offset + other_extent <= place.offset:
        return True
    unit, other_unit = size * place.block, other_size * other.block
    nested = other.block % unit == 0 or place.block % other_unit == 0
    return nested and (place.offset, extent) == (other.offset, other_extent)


def check_place(state: Mapping[str, Tensor], name: str, axis: int, length: int) -> None:
    if name not in state:
        raise ValueError(f"state dict: {name} is missing, on which the symmetry acts")
    if state[name].ndim <= axis or state[name].shape[axis] != length:
        raise ValueError(
            f"state dict: axis {axis} of {name} should have length {length}, "
            f"but its shape is {tuple(state[name].shape)}"
        )
