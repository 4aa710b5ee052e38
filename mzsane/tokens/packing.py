"""Moving values between tensors and the tokens of a layer."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from mzsane.tokens.layers import Layer


def rows_of(tokens: Tensor, layer: Layer) -> Tensor:
    """A layer's rows without their padding: a view, if `tokens` is contiguous."""
    rows = tokens.narrow(-2, layer.first_token, layer.num_tokens)
    width = layer.tokens_per_row * tokens.shape[-1]
    return rows.reshape(*tokens.shape[:-2], layer.rows, width)[..., : layer.columns]


def pack(state: Mapping[str, Tensor], layers: Iterable[Layer], tokens: Tensor) -> None:
    """Write tensors into `tokens`, which is contiguous and keeps its values where padding is."""
    for layer in layers:
        for name, part in _pieces(tokens, layer):
            part.copy_(state[name].reshape(part.shape))


def unpack(tokens: Tensor, layers: Iterable[Layer]) -> dict[str, Tensor]:
    """Inverse of `pack`: every tensor as ``[..., rows, columns]``."""
    return {name: part for layer in layers for name, part in _pieces(tokens, layer)}


def _pieces(tokens: Tensor, layer: Layer) -> list[tuple[str, Tensor]]:
    parts = rows_of(tokens, layer).split([piece.columns for piece in layer.pieces], dim=-1)
    return [(piece.name, part) for piece, part in zip(layer.pieces, parts, strict=True)]
