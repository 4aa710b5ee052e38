"""What a layout knows of a tensor: its name, its shape and its dtype, never its values."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

Entry = tuple[str, tuple[int, ...], str]
"""Name, shape and dtype (``"float32"``) of one tensor of a state dict."""


def dtype_name(dtype: torch.dtype) -> str:
    """``"float32"`` for ``torch.float32``."""
    return str(dtype).removeprefix("torch.")


def dtype_of(name: str) -> torch.dtype:
    """Inverse of `dtype_name`."""
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{name!r} is not a dtype of torch")
    return dtype


def is_floating(dtype: str) -> bool:
    """Whether a tensor of this dtype holds weights; integers, booleans, complex are carried."""
    return dtype.startswith(("float", "bfloat"))


def common_dtype(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """The dtype all share, otherwise the narrower of float32 and float64 that holds them all."""
    distinct = set(dtypes)
    if len(distinct) == 1:
        return distinct.pop()
    return torch.float64 if torch.float64 in distinct else torch.float32


def check_tensors(
    state: Mapping[str, Tensor], entries: Sequence[Entry], models: torch.Size | None = None
) -> torch.Size:
    """Compare names and shapes, and return the leading model axes that all tensors share.

    Args:
        state: tensors, perhaps stacked over models.
        entries: what a single model has.
        models: the leading axes, where they are known; None takes the first tensor's.

    Raises:
        ValueError: naming the first tensor that is missing, unknown or of another shape.
    """
    names = {name for name, _, _ in entries}
    if missing := names - state.keys():
        raise ValueError(f"{min(missing)}: missing; {len(names)} tensors are expected")
    if extra := state.keys() - names:
        raise ValueError(f"{min(extra)}: not in this layout; make one with Layout.of")
    for name, shape, _ in entries:
        found = state[name].shape
        models = found[: len(found) - len(shape)] if models is None else models
        if found != (*models, *shape):
            raise ValueError(f"{name}: shape {list(found)} found, {[*models, *shape]} expected")
    return torch.Size() if models is None else models
