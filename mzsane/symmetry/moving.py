"""Operations that move entries of tensors and change none."""

from collections.abc import Sequence
from typing import Any

from mzsane.symmetry.axes import Axis, concatenation, cut, product, unify
from mzsane.symmetry.values import CHOSEN, elementwise, meet


def reshape(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Runs of axes that hold the same number of entries are one product."""
    axes = [Axis(size) for size in shape]
    before = [axis for axis in arguments[0].axes if axis.size > 1]
    after = [axis for axis in axes if axis.size > 1]
    if before and after:
        unify(product(before), product(after))
    return axes


def permute(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Axes in another order."""
    return [arguments[0].axes[axis] for axis in arguments[1]]


def transpose(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Two axes change places."""
    axes = list(arguments[0].axes)
    first, second = arguments[1:3] if len(arguments) > 2 else (0, -1)
    if axes:
        axes[first], axes[second] = axes[second], axes[first]
    return axes


def expand(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Axes of length one are repeated."""
    return elementwise([arguments[0]], shape)


def repeat(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Every axis is the product of its copies and itself."""
    value, times = arguments[:2]
    missing = len(shape) - len(value.axes)
    inner = [Axis(1) for _ in range(missing)] + value.axes
    return [product([Axis(count), axis]) for count, axis in zip(times, inner, strict=True)]


def cat(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Axes are shared, but for the one along which tensors lie side by side."""
    values = [value for value in arguments[0] if len(value.axes) == len(shape)]
    along = (arguments[1] if len(arguments) > 1 else 0) % len(shape)
    axes = [Axis(size) for size in shape]
    for value in values:
        for at, axis in enumerate(value.axes):
            if at != along:
                meet(axes[at], axis)
    axes[along] = concatenation([value.axes[along] for value in values])
    return axes


def stack(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Axes are shared; the new one tells the tensors apart."""
    along = (arguments[1] if len(arguments) > 1 else 0) % len(shape)
    rest = shape[:along] + shape[along + 1 :]
    axes = elementwise(arguments[0], rest)
    return [*axes[:along], Axis(shape[along], CHOSEN), *axes[along:]]


def select(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Of `unbind` too, all of whose results are alike."""
    axes = list(arguments[0].axes)
    axes.pop(arguments[1] if len(arguments) > 1 else 0).fix(CHOSEN)
    return axes


def slice_part(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Neighbouring entries are a part of the axis; others are chosen one by one."""
    value, along, start, end, step = [*arguments, *(None,) * 4][:5]
    axes, along = list(value.axes), along or 0
    start, end, _ = slice(start, end).indices(axes[along].size)
    if step in (None, 1):
        sizes = [start, end - start, axes[along].size - end]
        axes[along] = cut_some(axes[along], sizes)[1]
    else:
        axes[along].fix(CHOSEN)
        axes[along] = Axis(shape[along], CHOSEN)
    return axes


def cut_some(axis: Axis, sizes: Sequence[int]) -> list[Axis]:
    """The parts of an axis, which stays as it is where one part is all of it."""
    if axis.size in sizes:
        return [axis if size else Axis(0) for size in sizes]
    return cut(axis, sizes)
