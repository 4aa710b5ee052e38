"""What an autoencoder makes of whole models: vectors per model, per layer and per token."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.analysis.members import Part
from mzsane.models import Sane
from mzsane.sampling import encode_rows

LEVELS = ("model", "layer", "token")


class Embeddings(NamedTuple):
    """Of the checkpoints of one shelf.

    Attributes:
        model: mean over the token latents, the embedding of SANE (arXiv:2406.09997).
        layer: mean over the latents of each layer's tokens.
        token: the latents.
    """

    model: Float[Tensor, "rows latent"]
    layer: Float[Tensor, "rows layers latent"]
    token: Float[Tensor, "rows tokens latent"]


def embed(model: Sane, part: Part, window: int, halo: int) -> Embeddings:
    """Encode stored models of any length; `mzsane.sampling.encode` says what a halo is.

    Args:
        model: the autoencoder, on the device that is to compute.
        part: some checkpoints, few enough for their tokens to be held at once (`chunks`).
        window: tokens in one pass.
        halo: tokens of context on each side of a window.

    Raises:
        ValueError: the autoencoder takes tokens of another size, or its position tables are
            shorter than the models.
    """
    latents = encode_rows(model, part.shelf, part.rows, window, halo).latents
    layers = layer_means(latents, part.shelf.layout.positions[:, 1], part.shelf.layout.num_layers)
    return Embeddings(latents.mean(1), layers, latents)


def layer_means(
    latents: Float[Tensor, "rows tokens latent"], layers: Int[Tensor, " tokens"], count: int
) -> Float[Tensor, "rows layers latent"]:
    """Mean over the tokens of each layer.

    Args:
        latents: of whole models.
        layers: index of each token's layer, below `count`.
        count: layers, each of which has a token.
    """
    tokens = torch.bincount(layers, minlength=count).to(latents)
    sums = latents.new_zeros(len(latents), count, latents.shape[2])
    return sums.index_add_(1, layers, latents) / tokens[:, None]
