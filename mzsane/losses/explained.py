"""Sums from which explained variance is made, over any number of batches."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class MaskedSums(NamedTuple):
    """Sums over the real weights of each group; the sums of several batches add up."""

    residual: Float[Tensor, "*groups"]
    """Squared errors."""
    weights: Float[Tensor, "*groups"]
    """How many."""
    total: Float[Tensor, "*groups"]
    """Target weights."""
    squares: Float[Tensor, "*groups"]
    """Squared target weights."""


def masked_sums(
    prediction: Float[Tensor, "batch window d_token"],
    target: Float[Tensor, "batch window d_token"],
    mask: Bool[Tensor, "batch window d_token"],
    group: Int[Tensor, "batch window"],
    num_groups: int,
) -> MaskedSums:
    r"""What R² per group of tokens needs of one batch, in the `widest` numbers.

    .. math:: R^2 = 1 - \frac{\mathrm{residual}}{\mathrm{squares} - \mathrm{total}^2 /
              \mathrm{weights}}

    Padding counts nowhere: counted as explained, it lifts R² (the fault of published values).

    Args:
        prediction: reconstructed tokens.
        target: clean tokens.
        mask: True where a token holds a weight.
        group: index of each token's group, below `num_groups`.
        num_groups: length of the sums.
    """
    dtype = widest(target.device)
    target = target.to(dtype).masked_fill(~mask, 0)
    error = prediction.to(dtype).masked_fill(~mask, 0) - target
    terms = (error.square(), mask.to(dtype), target, target.square())
    empty, group = target.new_zeros(num_groups), group.flatten()
    return MaskedSums(*(empty.index_add(0, group, term.sum(-1).flatten()) for term in terms))


def added(batches: Sequence[MaskedSums]) -> MaskedSums:
    """The sums of several batches as one, in float64; on the host where the device has none.

    They wait for the device once, and not for every batch.
    """
    parts = (torch.stack(part) for part in zip(*batches, strict=True))
    wide = (part if part.dtype == torch.float64 else part.cpu().double() for part in parts)
    return MaskedSums(*(part.sum(0) for part in wide))


def widest(device: torch.device) -> torch.dtype:
    """float64; on Apple's GPUs, which have nothing wider, float32."""
    return torch.float32 if device.type == "mps" else torch.float64


def r_squared(sums: MaskedSums) -> Float[Tensor, "*groups"]:
    """Explained variance of each group's weights; NaN for a group without any."""
    return 1 - sums.residual / (sums.squares - sums.total.square() / sums.weights)
