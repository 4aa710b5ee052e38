"""Sums from which explained variance is made, over any number of batches."""

from typing import NamedTuple

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
    r"""What R² per group of tokens needs of one batch, in float64.

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
    target = target.double().masked_fill(~mask, 0)
    error = prediction.double().masked_fill(~mask, 0) - target
    terms = (error.square(), mask.double(), target, target.square())
    empty, group = target.new_zeros(num_groups), group.flatten()
    return MaskedSums(*(empty.index_add(0, group, term.sum(-1).flatten()) for term in terms))


def r_squared(sums: MaskedSums) -> Float[Tensor, "*groups"]:
    """Explained variance of each group's weights; NaN for a group without any."""
    return 1 - sums.residual / (sums.squares - sums.total.square() / sums.weights)
