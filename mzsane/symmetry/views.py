"""A model's tensors as matching reads them: channels first."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mzsane.symmetry.groups import Place, Symmetry, check_place

STATISTICS = ("running_mean", "running_var")


class View(NamedTuple):
    """A tensor as one group sees it: an array with the group's channels first.

    Args:
        group: index of the group.
        place: where it acts.
        size: number of its channels.
        others: places that move other axes, as (group, place, axis of the folded array).
    """

    group: int
    place: Place
    size: int
    others: tuple[tuple[int, Place, int], ...]

    @property
    def partners(self) -> set[int]:
        """The groups on whose order this view depends."""
        return {group for group, _, _ in self.others}


def parameters(state: Mapping[str, Tensor], symmetry: Symmetry) -> list[str]:
    """The tensors that count in matching: floating-point ones that move, but no statistics.

    BatchNorm's running means and variances follow from weights and data. Their values are large
    and would drown the weights, which alone say what a channel does.

    Raises:
        ValueError: the state dict lacks a tensor of the symmetry.
    """
    missing = [name for name in symmetry.tensors if name not in state]
    if missing:
        raise ValueError(f"state dict: {missing[0]} is missing, on which the symmetry acts")
    return [
        name
        for name in symmetry.tensors
        if state[name].is_floating_point() and not name.endswith(STATISTICS)
    ]


def views(state: Mapping[str, Tensor], symmetry: Symmetry) -> list[View]:
    """One view for each place on a tensor that counts.

    Raises:
        ValueError: the state dict lacks a tensor of the symmetry.
    """
    counted = set(parameters(state, symmetry))
    acting = [
        (index, place)
        for index, group in enumerate(symmetry.groups)
        for place in group.places
        if place.tensor in counted
    ]
    return [
        View(index, place, symmetry.groups[index].size, _others(place, acting))
        for index, place in acting
    ]


def fold(state: Mapping[str, Tensor], view: View) -> np.ndarray:
    """The tensor in float32 as (channels, axes before, outer, block, axes after).

    Raises:
        ValueError: the tensor is missing or has another shape than the view expects.
    """
    name, axis, outer, block = view.place
    check_place(state, name, axis, outer * view.size * block)
    shape = state[name].shape
    split = (*shape[:axis], outer, view.size, block, *shape[axis + 1 :])
    array = state[name].detach().cpu().float().numpy().reshape(split)
    return np.ascontiguousarray(np.moveaxis(array, axis + 1, 0))


def _others(place: Place, acting: list[tuple[int, Place]]) -> tuple[tuple[int, Place, int], ...]:
    return tuple(
        # behind the channels in front, and behind the block as well if they came later
        (group, other, other.axis + (1 if other.axis < place.axis else 2))
        for group, other in acting
        if other.tensor == place.tensor and other.axis != place.axis
    )
