"""Selection by what decoded models can do."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from mzsane.models import Sane
from mzsane.populations import Population
from mzsane.sampling.anchors import Anchors
from mzsane.sampling.generate import are_finite, decode_models, mend
from mzsane.sampling.selection import Selected, Selection
from mzsane.sampling.windows import Precision
from mzsane.tokens import Layout

Judge = Callable[[Population], Float[Tensor, " models"]]
"""How good models are, as a share or any other number that is better when larger."""

TOGETHER = 2**24
"""Weights of the candidates that are decoded and judged at a time."""


def select(
    model: Sane,
    anchors: Anchors,
    selection: Selection,
    judge: Judge,
    generator: torch.Generator,
    window: int,
    halo: int,
    precision: Precision = "float32",
) -> Selected:
    """Latents of the best of many models, by what the decoded models can do.

    A model with a weight that is NaN or infinite is never judged and never selected.

    Args:
        model: the autoencoder that encoded the anchors.
        anchors: what to sample from.
        selection: how many to draw and keep, and how.
        judge: must not look at test images; `mzsane.evaluation.OnValidation` takes validation
            images.
        generator: of the CPU; advances by the number of draws.
        window: as in `encode`.
        halo: as in `encode`.
        precision: as in `encode`.

    Raises:
        ValueError: the architecture of the anchors is unknown, the sampler needs more of them, or
            no candidate consists of numbers.
    """

    def score(latents: Float[Tensor, "models tokens latent"]) -> Float[Tensor, " models"]:
        decoded = decode_models(model, latents, anchors, window, halo, precision)
        population = mend(decoded, anchors.layout).population
        finite = are_finite(population)
        scores = torch.full((len(population),), torch.nan)
        if finite.any():
            chosen = finite.nonzero().flatten().to(population.device)
            scores[finite] = judge(population[chosen]).float().cpu()
        return scores

    together = at_a_time(anchors.layout)
    return selection.select(anchors.latents, anchors.layers, generator, score, together)


def at_a_time(layout: Layout) -> int:
    """How many candidates with this layout are made and judged at a time."""
    return max(1, TOGETHER // layout.parameters)
