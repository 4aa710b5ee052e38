"""What one training step gets."""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor


class Batch(NamedTuple):
    """Windows of token sequences, each seen in two ways.

    Both views share mask and positions, for a permutation moves weights between tokens of one
    layer and never from weights into padding.

    Attributes:
        values: clean weights, zero where padding. View 0 is the canonical form, view 1 the same
            window of the same model with its hidden channels in a random order.
        mask: True where an entry is a weight.
        positions: token index in the model, layer index, row index; zeros in padding tokens.
        real: False for the tokens that fill up a model shorter than the window.
        source: index of the zoo in `WindowDataset.sources`.
        key: the sample's number, from which its noise is drawn (`mzsane.data.noise`).
    """

    values: Float[Tensor, "batch view window d_token"]
    mask: Bool[Tensor, "batch window d_token"]
    positions: Int[Tensor, "batch window 3"]
    real: Bool[Tensor, "batch window"]
    source: Int[Tensor, " batch"]
    key: Int[Tensor, " batch"]
