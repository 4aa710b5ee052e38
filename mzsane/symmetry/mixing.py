"""Operations that mix the entries of an axis: layers, and what normalises or reduces."""

from collections.abc import Sequence
from typing import Any

from mzsane.symmetry.axes import Axis, product, unify
from mzsane.symmetry.values import CHOSEN, SPATIAL, fix_all, meet, meet_all, values_of


def convolution(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Channels that face the weight, in groups or not; the other axes are in space."""
    value, weight, bias = arguments[:3]
    transposed, groups = arguments[6], arguments[8]
    fix_all([*value.axes[2:], *weight.axes[2:]], SPATIAL)
    # both grouped forms hold (groups x own) on the first axis, and own on the second
    outside, own = weight.axes[:2]
    split = Axis(groups)
    inner = Axis(outside.size // groups)
    unify(outside, product([split, inner]))
    grouped = product([split, own])
    channels_in, channels_out = (outside, grouped) if transposed else (grouped, outside)
    meet(value.axes[1], channels_in)
    if bias is not None:
        meet(bias.axes[0], channels_out)
    return [value.axes[0], channels_out, *(Axis(size, SPATIAL) for size in shape[2:])]


def matmul(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """The last two tensors are multiplied; a first one of three is added."""
    *added, left, right = values_of(arguments)
    meet(left.axes[-1], right.axes[max(len(right.axes) - 2, 0)])
    batch = left.axes[: len(left.axes) - 2]
    for axis, other in zip(batch, right.axes, strict=False):
        meet(axis, other)
    axes = [*batch, *left.axes[len(batch) : -1], *(right.axes[-1:] if right.axes[1:] else [])]
    for value in added:
        meet_all(axes, value)
    return axes


def linear(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """``x W^T + b`` over the last axis."""
    value, weight, *bias = values_of(arguments)
    meet(value.axes[-1], weight.axes[1])
    for each in bias:
        meet(each.axes[0], weight.axes[0])
    return [*value.axes[:-1], weight.axes[0]]


def batch_norm(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Scale, shift and statistics belong to the channels."""
    value, *vectors = values_of(arguments)
    for vector in vectors:
        meet(value.axes[1], vector.axes[0])
    return value.axes


def group_norm(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Whole groups may change places, and channels within all groups alike."""
    value, *vectors = values_of(arguments)
    groups = arguments[6]
    size = value.axes[1].size
    unify(value.axes[1], product([Axis(groups), Axis(size // groups)]))
    return batch_norm([value, *vectors], shape)


def attention(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Softmax of queries times keys, times values; each ``[..., heads, tokens, features]``."""
    query, key, value = arguments[:3]
    meet(query.axes[-1], key.axes[-1])
    meet(key.axes[-2], value.axes[-2])
    for axes in zip(query.axes[:-2], key.axes, value.axes, strict=False):
        meet(axes[0], axes[1])
        meet(axes[0], axes[2])
    return [*query.axes[:-1], value.axes[-1]]


def embedding(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Rows of a table, which are chosen and therefore fixed."""
    table, indices = arguments[:2]
    table.axes[0].fix(CHOSEN)
    return [*indices.axes, table.axes[1]]


def reduce(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Sums and the like over some axes; of all if none is named."""
    value = arguments[0]
    named = arguments[1] if len(arguments) > 1 else None
    over = range(len(value.axes)) if named is None or named == [] else named
    over = [over] if isinstance(over, int) else over
    gone = {axis % len(value.axes) for axis in over}
    if len(shape) == len(value.axes):
        return [Axis(1) if at in gone else axis for at, axis in enumerate(value.axes)]
    return [axis for at, axis in enumerate(value.axes) if at not in gone]


def norm(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """A reduction that has its order before its axes."""
    return reduce([arguments[0], *arguments[2:]], shape)


def ordered(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Running sums and reversals: the axis has a direction."""
    for axis in [arguments[1]] if isinstance(arguments[1], int) else arguments[1]:
        arguments[0].axes[axis].fix(CHOSEN)
    return arguments[0].axes
