"""From latents back to models that can be run."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.models import Sane
from mzsane.populations import Population
from mzsane.sampling.anchors import Anchors, encode_rows
from mzsane.sampling.samplers import Sampler
from mzsane.sampling.windows import decode
from mzsane.stores import Shelf


def generate(
    model: Sane,
    anchors: Anchors,
    sampler: Sampler,
    n: int,
    generator: torch.Generator,
    window: int,
    halo: int,
) -> Population:
    """Draw `n` models of the anchors' architecture.

    What is no token (integer buffers, running statistics and, with ``batchnorm=ignore``,
    BatchNorm's scale and shift) no sampler draws: it is `shared` by all. Running statistics then
    fit no drawn model and are to be computed anew from validation images
    (`mzsane.populations.condition`).

    Two calls that draw five models each from one generator give the ten that one call gives: to
    stream many, call repeatedly.

    Args:
        model: the autoencoder that encoded the anchors.
        anchors: what to sample from.
        sampler: how.
        n: models.
        generator: of the CPU; advances.
        window: as in `encode`.
        halo: as in `encode`.

    Raises:
        ValueError: the architecture of the anchors is unknown.
    """
    latents = sampler.sample(anchors.latents, anchors.layers, n, generator)
    carried = shared(_carried(anchors.shelf, anchors.rows), n)
    return _assemble(model, latents, anchors.shelf, carried, window, halo)


def reconstruct(model: Sane, anchors: Anchors, window: int, halo: int) -> Population:
    """The anchors decoded from their own latents; what is no token is kept as stored.

    Raises:
        ValueError: the architecture of the anchors is unknown.
    """
    carried = _carried(anchors.shelf, anchors.rows)
    return _assemble(model, anchors.latents, anchors.shelf, carried, window, halo)


def reconstruct_rows(
    model: Sane, shelf: Shelf, rows: Int[np.ndarray, " rows"], window: int, halo: int
) -> Population:
    """Stored models, encoded and decoded.

    Raises:
        ValueError: the architecture is unknown, or `encode` refuses.
    """
    return reconstruct(model, encode_rows(model, shelf, rows, window, halo), window, halo)


def stored_models(shelf: Shelf, rows: Int[np.ndarray, " rows"]) -> Population:
    """Models as they are stored.

    Raises:
        ValueError: their architecture is unknown.
    """
    return population_of(shelf, shelf.states(rows))


def population_of(shelf: Shelf, tensors: dict[str, Tensor]) -> Population:
    """Stacked tensors as models of the shelf's architecture.

    Raises:
        ValueError: that is unknown.
    """
    if shelf.architecture is None:
        raise ValueError(
            f"{shelf.source}: the store does not say how to build its networks, so they cannot be "
            "run; preprocess the zoo with an architecture"
        )
    return Population(shelf.architecture, tensors)


def shared(tensors: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
    """What `n` models made of several have in common: mean of floats, integers of the first."""
    return {
        name: (tensor.mean(0) if tensor.is_floating_point() else tensor[0])
        .expand(n, *tensor.shape[1:])
        .clone()
        for name, tensor in tensors.items()
    }


def _carried(shelf: Shelf, rows: Int[np.ndarray, " rows"]) -> dict[str, Tensor]:
    return shelf.layout.carry(shelf.states(rows))


def _assemble(
    model: Sane,
    latents: Float[Tensor, "models tokens latent"],
    shelf: Shelf,
    carried: dict[str, Tensor],
    window: int,
    halo: int,
) -> Population:
    """Decode latents and put what is no token beside them."""
    tokens = decode(model, latents, shelf.layout.positions, window, halo)
    return population_of(shelf, shelf.layout.detokenize(tokens, carried))
