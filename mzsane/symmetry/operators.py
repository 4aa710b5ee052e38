"""What each operation of PyTorch does to the axes of tensors.

Operations not named here are taken to act entry by entry if their shapes allow it; otherwise
axes that keep place and length are taken to be the same. Such guesses can only cost groups, never
make false ones, because every group is proven by running the network afterwards.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from mzsane.symmetry.axes import Axis, concatenation, cut, product, unify

SPATIAL = "it is a position in space or time"
CHOSEN = "some of its entries are chosen by their place"


class Value(NamedTuple):
    """A tensor as an operation sees it: one term for each axis."""

    axes: list[Axis]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(axis.size for axis in self.axes)


Rule = Callable[[Sequence[Any], tuple[int, ...]], list[Axis]]


def result(operation: str, arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """The axes of an operation's first result, after unifying what meets in it.

    Args:
        operation: its name without namespace and overload.
        arguments: with a `Value` in place of each tensor.
        shape: of the result.
    """
    axes = RULES.get(operation.rstrip("_"), _default)(arguments, shape)
    return [
        axis if axis.size == size else Axis(size, SPATIAL)
        for axis, size in zip(axes, shape, strict=True)
    ]


def meet(one: Axis, other: Axis) -> None:
    """Unify two axes that face each other, unless one of them is broadcast."""
    if one.size == other.size:
        unify(one, other)


def _default(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    values = _values(arguments)
    if not values:  # a constant
        return [Axis(size) for size in shape]
    fitting = [value for value in values if _broadcasts(value.shape, shape)]
    if any(value is values[0] for value in fitting):
        return _elementwise(fitting, shape)
    if len(values[0].axes) == len(shape):
        return _kept(values[0], shape)
    for value in values:
        _fix(value.axes, "an unknown operation reads it")
    return [Axis(size, "an unknown operation writes it") for size in shape]


def _elementwise(values: Sequence[Value], shape: tuple[int, ...]) -> list[Axis]:
    """Shapes are aligned at their last axes."""
    axes = [Axis(size) for size in shape]
    for value in values:
        for axis, other in zip(reversed(axes), reversed(value.axes), strict=False):
            meet(axis, other)
    return axes


def _kept(value: Value, shape: tuple[int, ...]) -> list[Axis]:
    """Pooling, padding and interpolation: batch and channels stay, the others are in space."""
    for axis in value.axes[2:]:
        axis.fix(SPATIAL)
    return [
        axis if at < 2 and axis.size == size else Axis(size, SPATIAL)
        for at, (axis, size) in enumerate(zip(value.axes, shape, strict=True))
    ]


def _reshape(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Runs of axes that hold the same number of entries are one product."""
    axes = [Axis(size) for size in shape]
    before = [axis for axis in arguments[0].axes if axis.size > 1]
    after = [axis for axis in axes if axis.size > 1]
    if before and after:
        unify(product(before), product(after))
    return axes


def _permute(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    return [arguments[0].axes[axis] for axis in arguments[1]]


def _transpose(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    axes = list(arguments[0].axes)
    first, second = arguments[1:3] if len(arguments) > 2 else (0, -1)
    if axes:
        axes[first], axes[second] = axes[second], axes[first]
    return axes


def _expand(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    return _elementwise([arguments[0]], shape)


def _repeat(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    value, times = arguments[:2]
    missing = len(shape) - len(value.axes)
    inner = [Axis(1) for _ in range(missing)] + value.axes
    return [product([Axis(count), axis]) for count, axis in zip(times, inner, strict=True)]


def _cat(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    values = [value for value in arguments[0] if len(value.axes) == len(shape)]
    along = (arguments[1] if len(arguments) > 1 else 0) % len(shape)
    axes = [Axis(size) for size in shape]
    for value in values:
        for at, axis in enumerate(value.axes):
            if at != along:
                meet(axes[at], axis)
    axes[along] = concatenation([value.axes[along] for value in values])
    return axes


def _stack(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    along = (arguments[1] if len(arguments) > 1 else 0) % len(shape)
    rest = shape[:along] + shape[along + 1 :]
    axes = _elementwise(arguments[0], rest)
    return [*axes[:along], Axis(shape[along], CHOSEN), *axes[along:]]


def _select(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Of `unbind` too, all of whose results are alike."""
    axes = list(arguments[0].axes)
    axes.pop(arguments[1] if len(arguments) > 1 else 0).fix(CHOSEN)
    return axes


def _slice(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
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


def _convolution(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    value, weight, bias = arguments[:3]
    transposed, groups = arguments[6], arguments[8]
    _fix([*value.axes[2:], *weight.axes[2:]], SPATIAL)
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


def _matmul(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """The last two tensors are multiplied; a first one of three is added."""
    *added, left, right = _values(arguments)
    meet(left.axes[-1], right.axes[max(len(right.axes) - 2, 0)])
    batch = left.axes[: len(left.axes) - 2]
    for axis, other in zip(batch, right.axes, strict=False):
        meet(axis, other)
    axes = [*batch, *left.axes[len(batch) : -1], *(right.axes[-1:] if right.axes[1:] else [])]
    for value in added:
        _elementwise_onto(axes, value)
    return axes


def _elementwise_onto(axes: Sequence[Axis], value: Value) -> None:
    for axis, other in zip(reversed(axes), reversed(value.axes), strict=False):
        meet(axis, other)


def _linear(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    value, weight, *bias = _values(arguments)
    meet(value.axes[-1], weight.axes[1])
    for each in bias:
        meet(each.axes[0], weight.axes[0])
    return [*value.axes[:-1], weight.axes[0]]


def _batch_norm(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    value, *vectors = _values(arguments)
    for vector in vectors:
        meet(value.axes[1], vector.axes[0])
    return value.axes


def _group_norm(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    value, *vectors = _values(arguments)
    groups = arguments[6]
    size = value.axes[1].size
    unify(value.axes[1], product([Axis(groups), Axis(size // groups)]))
    return _batch_norm([value, *vectors], shape)


def _attention(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Softmax of queries times keys, times values; each ``[..., heads, tokens, features]``."""
    query, key, value = arguments[:3]
    meet(query.axes[-1], key.axes[-1])
    meet(key.axes[-2], value.axes[-2])
    for axes in zip(query.axes[:-2], key.axes, value.axes, strict=False):
        meet(axes[0], axes[1])
        meet(axes[0], axes[2])
    return [*query.axes[:-1], value.axes[-1]]


def _embedding(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    table, indices = arguments[:2]
    table.axes[0].fix(CHOSEN)
    return [*indices.axes, table.axes[1]]


def _reduce(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Sums and the like over some axes; of all if none is named."""
    value = arguments[0]
    named = arguments[1] if len(arguments) > 1 else None
    over = range(len(value.axes)) if named is None or named == [] else named
    over = [over] if isinstance(over, int) else over
    gone = {axis % len(value.axes) for axis in over}
    if len(shape) == len(value.axes):
        return [Axis(1) if at in gone else axis for at, axis in enumerate(value.axes)]
    return [axis for at, axis in enumerate(value.axes) if at not in gone]


def _ordered(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """Running sums and reversals: the axis has a direction."""
    for axis in [arguments[1]] if isinstance(arguments[1], int) else arguments[1]:
        arguments[0].axes[axis].fix(CHOSEN)
    return arguments[0].axes


def _values(arguments: Sequence[Any]) -> list[Value]:
    found = []
    for argument in arguments:
        if isinstance(argument, Value):
            found.append(argument)
        elif isinstance(argument, list):
            found += _values(argument)
    return found


def _fix(axes: Sequence[Axis], reason: str) -> None:
    for axis in axes:
        axis.fix(reason)


def _broadcasts(shape: tuple[int, ...], onto: tuple[int, ...]) -> bool:
    pairs = zip(reversed(shape), reversed(onto), strict=False)
    return len(shape) <= len(onto) and all(size in (1, other) for size, other in pairs)


RULES: dict[str, Rule] = {
    **dict.fromkeys(["view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze"], _reshape),
    **dict.fromkeys(["unsqueeze", "flatten", "unflatten", "_reshape_copy"], _reshape),
    **dict.fromkeys(["t", "transpose"], _transpose),
    **dict.fromkeys(["mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "matmul"], _matmul),
    **dict.fromkeys(["sum", "mean", "amax", "amin", "max", "min", "prod"], _reduce),
    **dict.fromkeys(["var", "std", "logsumexp", "norm", "linalg_vector_norm"], _reduce),
    **dict.fromkeys(["native_batch_norm", "_native_batch_norm_legit"], _batch_norm),
    **dict.fromkeys(["_native_batch_norm_legit_no_training"], _batch_norm),
    **dict.fromkeys(["cudnn_batch_norm", "_batch_norm_no_update"], _batch_norm),
    **dict.fromkeys(["flip", "roll", "cumsum", "cumprod"], _ordered),
    **dict.fromkeys(["select", "unbind"], _select),
    "permute": _permute,
    "expand": _expand,
    "repeat": _repeat,
    "cat": _cat,
    "stack": _stack,
    "slice": _slice,
    "convolution": _convolution,
    "linear": _linear,
    "native_group_norm": _group_norm,
    "embedding": _embedding,
}
RULES |= dict.fromkeys(
    [
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_attention_math",
        "_scaled_dot_product_fused_attention_overrideable",
    ],
    _attention,
)
