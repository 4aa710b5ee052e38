"""What one training step gets."""

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor


class Batch(NamedTuple):
    """Windows of token sequences, each seen in two ways.

    A window holds one model or a part of it; a packed one (`mzsane.data.WindowDataset`) several,
    one after the other. Both views share everything but their values, for a permutation moves
    weights between tokens of one layer and never from weights into padding.

    Attributes:
        values: clean weights, zero where padding. View 0 is the canonical form, view 1 the same
            window of the same models with their hidden channels in a random order.
        mask: True where an entry is a weight.
        positions: where each token stands, in the columns of `mzsane.tokens.PLACE`; zeros in
            padding tokens.
        segment: number of the model in its window, from 0; -1 for tokens that fill up a window.
        source: index of the zoo in `WindowDataset.sources`.
        key: the sample's number, from which its noise is drawn (`mzsane.data.noise`).
        shelf: number of the shelf of the window's first model: the stores' shelves, in the order
            of sources and of `TokenStore.architectures`, counted from 0.
        mixed: False if each window is filled by one model, so that attention needs no mask. The
            host must know before the step, so it is no tensor.
    """

    values: Float[Tensor, "batch view window d_token"]
    mask: Bool[Tensor, "batch window d_token"]
    positions: Int[Tensor, "batch window place"]
    segment: Int[Tensor, "batch window"]
    source: Int[Tensor, " batch"]
    key: Int[Tensor, " batch"]
    shelf: Int[Tensor, " batch"]
    mixed: bool
