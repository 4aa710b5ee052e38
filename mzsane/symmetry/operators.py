"""What each operation of PyTorch does to the axes of tensors.

Operations not named here are taken to act entry by entry if their shapes allow it; otherwise
axes that keep place and length are taken to be the same. Such guesses can only cost groups, never
make false ones, because every group is proven by running the network afterwards.
"""

from collections.abc import Sequence
from typing import Any

from mzsane.symmetry import mixing, moving
from mzsane.symmetry.axes import Axis
from mzsane.symmetry.values import SPATIAL, Rule, Value, elementwise, fix_all, values_of


def result(operation: str, arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    """The axes of an operation's first result, after unifying what meets in it.

    Args:
        operation: its name without namespace and overload.
        arguments: with a `Value` in place of each tensor.
        shape: of the result.
    """
    axes = RULES.get(operation.rstrip("_"), _default)(arguments, shape)
    if len(axes) != len(shape):  # an overload that the rule does not know
        axes = _unknown(arguments, shape)
    return [
        axis if axis.size == size else Axis(size, SPATIAL)
        for axis, size in zip(axes, shape, strict=True)
    ]


def _default(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    values = values_of(arguments)
    if not values:  # a constant
        return [Axis(size) for size in shape]
    fitting = [value for value in values if _broadcasts(value.shape, shape)]
    if any(value is values[0] for value in fitting):
        return elementwise(fitting, shape)
    if len(values[0].axes) == len(shape):
        return _kept(values[0], shape)
    return _unknown(arguments, shape)


def _unknown(arguments: Sequence[Any], shape: tuple[int, ...]) -> list[Axis]:
    for value in values_of(arguments):
        fix_all(value.axes, "an unknown operation reads it")
    return [Axis(size, "an unknown operation writes it") for size in shape]


def _kept(value: Value, shape: tuple[int, ...]) -> list[Axis]:
    """Pooling, padding and interpolation: batch and channels stay, the others are in space."""
    for axis in value.axes[2:]:
        axis.fix(SPATIAL)
    return [
        axis if at < 2 and axis.size == size else Axis(size, SPATIAL)
        for at, (axis, size) in enumerate(zip(value.axes, shape, strict=True))
    ]


def _broadcasts(shape: tuple[int, ...], onto: tuple[int, ...]) -> bool:
    pairs = zip(reversed(shape), reversed(onto), strict=False)
    return len(shape) <= len(onto) and all(size in (1, other) for size, other in pairs)


RULES: dict[str, Rule] = {
    name: rule
    for rule, names in {
        moving.reshape: "view _unsafe_view reshape _reshape_alias squeeze unsqueeze",
        moving.transpose: "t transpose",
        moving.permute: "permute",
        moving.expand: "expand",
        moving.repeat: "repeat",
        moving.cat: "cat",
        moving.stack: "stack",
        moving.select: "select unbind",
        moving.slice_part: "slice",
        mixing.matmul: "mm addmm bmm baddbmm mv addmv dot vdot",
        mixing.linear: "linear",
        mixing.convolution: "convolution",
        mixing.embedding: "embedding",
        mixing.batch_norm: "native_batch_norm _native_batch_norm_legit_no_training",
        mixing.group_norm: "native_group_norm",
        mixing.attention: "_scaled_dot_product_flash_attention_for_cpu",
        mixing.reduce: "sum mean amax amin max min prod var std logsumexp",
        mixing.norm: "norm linalg_vector_norm",
        mixing.ordered: "flip roll cumsum cumprod",
    }.items()
    for name in names.split()
}
