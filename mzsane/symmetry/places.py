"""Where permutations act: parts of axes of tensors, and groups of them that move as one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor


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


def along_axis(source: np.ndarray, place: Place) -> np.ndarray:
    """A permutation of channels as one of all indices of an axis, which moves blocks as a whole.

    Of a stack of permutations ``[..., channels]`` the stack.
    """
    *stack, size = source.shape
    moved = source
    if place.outer > 1 or place.block > 1:
        repeats = np.arange(place.outer)[:, None, None] * size * place.block
        blocks = source[..., None, :, None] * place.block
        moved = (repeats + blocks + np.arange(place.block)).reshape(*stack, -1)
    end = place.offset + moved.shape[-1]
    if place.offset == 0 and place.length <= end:
        return moved
    axis = np.arange(max(place.length, end))
    whole = np.broadcast_to(axis, (*stack, len(axis))).copy()
    whole[..., place.offset : end] = moved + place.offset
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
    """An axis has the length that a symmetry expects.

    Raises:
        ValueError: it has not, or the tensor is missing.
    """
    if name not in state:
        raise ValueError(f"state dict: {name} is missing, on which the symmetry acts")
    if state[name].ndim <= axis or state[name].shape[axis] != length:
        raise ValueError(
            f"state dict: axis {axis} of {name} should have length {length}, "
            f"but its shape is {tuple(state[name].shape)}"
        )
