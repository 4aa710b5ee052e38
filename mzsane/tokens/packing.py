"""Moving values between tensors and the tokens of a layer."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from mzsane.tokens.entries import common_dtype, dtype_name
from mzsane.tokens.layers import Layer


def fresh(values: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """Uninitialised memory where `values` are, in the dtype that holds them all."""
    dtype = common_dtype(value.dtype for value in values)
    return torch.empty(*shape, dtype=dtype, device=values[0].device if values else None)


def checked(out: Tensor, values: Sequence[Tensor], shape: Sequence[int]) -> Tensor:
    """`out`, if it is what `fresh` would give.

    Raises:
        ValueError: if its shape or dtype is another, or it is not contiguous.
    """
    dtype = common_dtype(value.dtype for value in values)
    if out.shape != tuple(shape) or out.dtype != dtype or not out.is_contiguous():
        raise ValueError(
            f"out: {dtype_name(out.dtype)} {list(out.shape)} given, contiguous "
            f"{dtype_name(dtype)} {list(shape)} needed; give what an earlier call returned"
        )
    return out


def rows_of(tokens: Tensor, layer: Layer) -> Tensor:
    """A layer's rows without their padding: a view, if `tokens` is contiguous."""
    return _strided(_entries(tokens, layer), layer)[..., : layer.columns]


def pack(
    state: Mapping[str, Tensor], layers: Iterable[Layer], tokens: Tensor, padding: int
) -> None:
    """Write tensors, and `padding` elsewhere, into `tokens`, which is contiguous."""
    for layer in layers:
        entries = _entries(tokens, layer)
        if layer.stride > layer.columns:
            _strided(entries, layer)[..., layer.columns :].fill_(padding)
        entries[..., layer.rows * layer.stride :].fill_(padding)
        for name, part in _pieces(tokens, layer):
            part.copy_(state[name].reshape(part.shape))


def unpack(tokens: Tensor, layers: Iterable[Layer]) -> dict[str, Tensor]:
    """Inverse of `pack`: every tensor as ``[..., rows, columns]``."""
    return {name: part for layer in layers for name, part in _pieces(tokens, layer)}


def _pieces(tokens: Tensor, layer: Layer) -> Iterator[tuple[str, Tensor]]:
    rows, first = rows_of(tokens, layer), 0
    for name, columns in layer.pieces:  # torch.split's views refuse gradients when written to
        yield name, rows.narrow(-1, first, columns)
        first += columns


def _entries(tokens: Tensor, layer: Layer) -> Tensor:
    """A layer's tokens as one vector."""
    of_layer = tokens.narrow(-2, layer.first_token, layer.num_tokens)
    return of_layer.reshape(*tokens.shape[:-2], layer.num_tokens * tokens.shape[-1])


def _strided(entries: Tensor, layer: Layer) -> Tensor:
    """A layer's rows, each as wide as the layer's stride."""
    rows = entries[..., : layer.rows * layer.stride]
    return rows.reshape(*entries.shape[:-1], layer.rows, layer.stride)
