"""Sums from which explained variance is made, over any number of batches."""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor


class MaskedSums(NamedTuple):
    """Sums over the real weights of each source; the sums of several batches add up."""

    residual: Float[Tensor, " sources"]
    """Squared errors."""
    weights: Float[Tensor, " sources"]
    """How many."""
    total: Float[Tensor, " sources"]
    """Target weights."""
    squares: Float[Tensor, " sources"]
    """Squared target weights."""


def masked_sums(
    prediction: Float[Tensor, "batch window d_token"],
    target: Float[Tensor, "batch window d_token"],
    mask: Bool[Tensor, "batch window d_token"],
    source: Int[Tensor, " batch"],
    num_sources: int,
) -> MaskedSums:
    r"""What R² per source needs of one batch, in float64.

    .. math:: R^2 = 1 - \frac{\mathrm{residual}}{\mathrm{squares} - \mathrm{total}^2 /
              \mathrm{weights}}

    Padding counts nowhere: counted as explained, it lifts R² (the fault of published values).

    Args:
        prediction: reconstructed tokens.
        target: clean tokens.
        mask: True where a token holds a weight.
        source: index of each sample's source, below `num_sources`.
        num_sources: length of the sums.
    """
    target = target.double().masked_fill(~mask, 0)
    error = prediction.double().masked_fill(~mask, 0) - target
    terms = (error.square(), mask.double(), target, target.square())
    empty = target.new_zeros(num_sources)
    return MaskedSums(*(empty.index_add(0, source, term.sum((1, 2))) for term in terms))
