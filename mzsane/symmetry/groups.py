"""Permutation symmetries of an architecture: which channels can be exchanged, and where.

Exchanging two hidden channels of a network, in the layer that writes them and in every layer that
reads them, leaves its function as it was (Hecht-Nielsen 1990). Channels tied together by residual
streams, normalisations or flattening move as one; such a set is a `Group`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from mzsane.symmetry.given import Given, groups_of
from mzsane.symmetry.places import Group, Place, along_axis, check_place

Permutation = tuple[np.ndarray, ...]
"""One int64 array per group; entry `i` is the channel that moves to place `i`."""


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

    def axis_maps(
        self, permutation: Permutation
    ) -> dict[tuple[str, int], Int64[np.ndarray, "*stack _"]]:
        """For each (tensor, axis) that moves: the index that its entry `i` is taken from.

        Of stacked permutations, each group's ``[*stack, size]``, the stacked maps.
        """
        maps: dict[tuple[str, int], np.ndarray] = {}
        for group, source in zip(self.groups, permutation, strict=True):
            for place in group.places:
                key, taken = (place.tensor, place.axis), along_axis(source, place)
                if key in maps:
                    taken = np.take_along_axis(maps[key], taken, -1)
                maps[key] = taken
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

    @classmethod
    def of_places(
        cls, groups: Mapping[str, Given], shapes: Mapping[str, Sequence[int]]
    ) -> "Symmetry":
        """Groups given by hand, for networks that cannot be traced; `verify` proves them.

        Args:
            groups: for each group's name its places ``tensor:axis``, as in
                ``{hidden: [fc1.weight:0, fc1.bias:0, fc2.weight:1]}``. The shortest one tells the
                number of channels, and longer axes hold them in blocks. ``tensor:axis[4:9]`` is
                part of an axis, ``tensor:axis*3`` holds all channels three times, and
                ``{size: 4, places: [...]}`` sets the number of channels, such as heads.
            shapes: of all tensors, by name.

        Raises:
            ValueError: a place that does not exist, is no multiple of the channels, or overlaps
                with another group's.
        """
        return cls(groups_of(groups, shapes))

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
