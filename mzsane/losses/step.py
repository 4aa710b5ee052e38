"""What a step of pretraining offers its losses."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor


class Answers(NamedTuple):
    """What networks of one architecture put out for images; `Step.answers` gives them.

    Attributes:
        original: logits of the networks that are to be reconstructed.
        reconstructed: logits of the reconstructed ones for the same images.
        real: False where a window holds no such network; its answers are finite and mean nothing.
    """

    original: Float[Tensor, "networks queries classes"]
    reconstructed: Float[Tensor, "networks queries classes"]
    real: Bool[Tensor, " networks"]


class Step(NamedTuple):
    """What a step of pretraining offers its losses.

    Windows are those of both views, the two of a sample next to each other.

    Attributes:
        prediction: reconstructed tokens; what stands in padding means nothing.
        target: clean tokens, zero where padding.
        mask: True where a token holds a weight.
        layer: layer index of each token.
        segment: number of each token's model in its window, -1 for tokens that fill it up.
        latents: of the noised tokens, from which `prediction` was decoded.
        projections: one per view of a sample, for contrast.
        encode: the latents of other tokens at the same places, by the same model.
        answers: given a number of images, what the networks in the windows make of them, one
            entry an architecture; None where they cannot be run.
    """

    prediction: Float[Tensor, "windows window d_token"]
    target: Float[Tensor, "windows window d_token"]
    mask: Bool[Tensor, "windows window d_token"]
    layer: Int[Tensor, "windows window"]
    segment: Int[Tensor, "windows window"]
    latents: Float[Tensor, "windows window latent"]
    projections: Float[Tensor, "batch view projection"]
    encode: Callable[
        [Float[Tensor, "windows window d_token"]], Float[Tensor, "windows window latent"]
    ]
    answers: Callable[[int], Sequence[Answers]] | None = None
