"""A model's tensors as matching reads them: channels first."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from mzsane.symmetry.groups import Symmetry
from mzsane.symmetry.places import Group, Place, along_axis, check_place

STATISTICS = ("running_mean", "running_var")


class View(NamedTuple):
    """Part of a tensor as one group sees it: an array with the group's channels first.

    Args:
        group: index of the group.
        place: where it acts.
        size: number of its channels.
        others: for each axis of the folded array along which entries move as well, the groups that
            move them, and where.
    """

    group: int
    place: Place
    size: int
    others: tuple[tuple[int, tuple[tuple[int, Place], ...]], ...]

    @property
    def partners(self) -> frozenset[int]:
        """The groups on whose order this view depends."""
        return frozenset(group for _, acting in self.others for group, _ in acting)

    def maps(self, permutation: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
        """For each axis of the folded array along which others move: what entry `i` is."""
        maps: dict[int, np.ndarray] = {}
        for axis, acting in self.others:
            for group, place in acting:
                taken = along_axis(permutation[group], place)
                maps[axis] = maps[axis][taken] if axis in maps else taken
        return maps


class Plan(NamedTuple):
    """What depends on what, in matching.

    Args:
        symmetry: of the architecture.
        views: all of them.
        own: indices of the views of each group.
        dependent: indices of the views that each group's order changes.
        neighbours: the groups that these belong to.
        torn: of each group, tensors that it moves in two ways at once.
        entangled: for each such tensor, what acts on it and the indices of those groups.
    """

    symmetry: Symmetry
    views: list[View]
    own: list[list[int]]
    dependent: list[frozenset[int]]
    neighbours: list[frozenset[int]]
    torn: list[frozenset[str]]
    entangled: dict[str, tuple[Symmetry, tuple[int, ...]]]


def plan(state: Mapping[str, Tensor], symmetry: Symmetry) -> Plan:
    """Views of all places on tensors that count, and how they hang together.

    Raises:
        ValueError: the state dict lacks a tensor of the symmetry.
    """
    found = views(state, symmetry)
    groups = range(len(symmetry.groups))
    own = [[i for i, view in enumerate(found) if view.group == group] for group in groups]
    dependent = [
        frozenset(i for i, view in enumerate(found) if group in view.partners) for group in groups
    ]
    neighbours = [frozenset(found[i].group for i in each) for each in dependent]
    torn = [
        frozenset(found[i].place.tensor for i in own[group] if i in dependent[group])
        for group in groups
    ]
    entangled = {name: acting_on(symmetry, name) for name in frozenset().union(*torn)}
    return Plan(symmetry, found, own, dependent, neighbours, torn, entangled)


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
    acting: dict[str, list[tuple[int, Place]]] = {name: [] for name in counted}
    for index, group in enumerate(symmetry.groups):
        for place in group.places:
            if place.tensor in counted:
                acting[place.tensor].append((index, place))
    sizes = [group.size for group in symmetry.groups]
    return [
        View(index, place, sizes[index], _others(place, sizes, acting[place.tensor], index))
        for index, group in enumerate(symmetry.groups)
        for place in group.places
        if place.tensor in counted
    ]


def fold(state: Mapping[str, Tensor], view: View) -> np.ndarray:
    """Part of the tensor in float32 as (channels, axes before, outer, block, axes after).

    Raises:
        ValueError: the tensor is missing or has another shape than the view expects.
    """
    name, axis, outer, block, offset, length = view.place
    extent = outer * view.size * block
    check_place(state, name, axis, max(length, offset + extent))
    shape = state[name].shape
    split = (*shape[:axis], outer, view.size, block, *shape[axis + 1 :])
    part = state[name].detach().cpu().narrow(axis, offset, extent)
    return np.ascontiguousarray(np.moveaxis(part.float().numpy().reshape(split), axis + 1, 0))


def acting_on(symmetry: Symmetry, tensor: str) -> tuple[Symmetry, tuple[int, ...]]:
    """What acts on one tensor, and the indices of those groups."""
    acting = {
        index: Group(group.name, group.size, places)
        for index, group in enumerate(symmetry.groups)
        if (places := tuple(place for place in group.places if place.tensor == tensor))
    }
    return Symmetry(tuple(acting.values())), tuple(acting)


def _others(
    place: Place, sizes: Sequence[int], acting: Sequence[tuple[int, Place]], group: int
) -> tuple[tuple[int, tuple[tuple[int, Place], ...]], ...]:
    found: dict[int, list[tuple[int, Place]]] = {}
    for index, other in acting:
        if other.axis != place.axis:
            # behind the channels in front, and behind the block as well if they came later
            axis = other.axis + (1 if other.axis < place.axis else 2)
            found.setdefault(axis, []).append((index, other))
        elif other != place and (inside := _inside(place, sizes[group], other, sizes[index])):
            found.setdefault(place.axis + inside[0], []).append((index, inside[1]))
    return tuple((axis, tuple(each)) for axis, each in found.items())


def _inside(place: Place, size: int, other: Place, other_size: int) -> tuple[int, Place] | None:
    """A place on the same axis as one on the repeats (1) or in the blocks (2) of this place.

    None if the two are apart.
    """
    if other.offset != place.offset:
        return None
    if other.block >= size * place.block:
        return 1, other._replace(block=other.block // (size * place.block), offset=0, length=0)
    return 2, other._replace(outer=other.outer // (place.outer * size), offset=0, length=0)
