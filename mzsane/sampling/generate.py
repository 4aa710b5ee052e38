"""From latents back to models that can be run."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.models import Sane
from mzsane.populations import Population
from mzsane.sampling.anchors import Anchors, encode_rows
from mzsane.sampling.sampler import Sampler
from mzsane.sampling.windows import Precision, decode
from mzsane.stores import Shelf
from mzsane.tokens import Layout

VARIANCE = "running_var"  # of BatchNorm, in the names of a state dict


class Mended(NamedTuple):
    """Models whose decoded running variances are positive.

    Attributes:
        population: the models.
        variances: how many of each were zero or less, and have been replaced.
    """

    population: Population
    variances: Int[Tensor, " models"]


def generate(
    model: Sane,
    anchors: Anchors,
    sampler: Sampler,
    n: int,
    generator: torch.Generator,
    window: int,
    halo: int,
    precision: Precision = "float32",
) -> Population:
    """Draw `n` models of the anchors' architecture.

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
        precision: as in `encode`.

    Raises:
        ValueError: the architecture of the anchors is unknown, or the sampler needs more of them.
    """
    latents = sampler.sample(anchors.latents, anchors.layers, n, generator)
    decoded = decode_models(model, latents, anchors, window, halo, precision)
    return mend(decoded, anchors.layout).population


def decode_models(
    model: Sane,
    latents: Float[Tensor, "models tokens latent"],
    anchors: Anchors,
    window: int,
    halo: int,
    precision: Precision = "float32",
    carried: Mapping[str, Shaped[Tensor, "models ..."]] | None = None,
) -> Population:
    """Models of the anchors' architecture from latents.

    What is no token (integer buffers, running statistics and, with ``batchnorm=ignore``,
    BatchNorm's scale and shift) no sampler draws: it is `shared` by all. Running statistics then
    fit no drawn model and are to be computed anew (`mzsane.populations.condition`). Where they are
    tokens (``batchnorm=grouped``), they are left as they are decoded: `mend` models that are run
    with them.

    Args:
        model: the autoencoder.
        latents: of the models.
        anchors: from which they were drawn.
        window: as in `encode`.
        halo: as in `encode`.
        precision: as in `encode`.
        carried: what is no token of each model; None is what the anchors share.

    Raises:
        ValueError: the architecture of the anchors is unknown.
    """
    layout = anchors.layout
    tokens = decode(model, latents, layout.positions, window, halo, precision)
    beside = shared(anchors.carried, len(latents)) if carried is None else carried
    return population_of(anchors.architecture, layout.detokenize(tokens, beside), anchors.source)


def reconstruct(
    model: Sane, anchors: Anchors, window: int, halo: int, precision: Precision = "float32"
) -> Population:
    """The anchors decoded from their own latents; what is no token is kept as it was.

    Running statistics that are tokens are left as `decode_models` leaves them.

    Raises:
        ValueError: the architecture of the anchors is unknown.
    """
    own = anchors.carried
    return decode_models(model, anchors.latents, anchors, window, halo, precision, own)


def reconstruct_rows(
    model: Sane,
    shelf: Shelf,
    rows: Int[np.ndarray, " rows"],
    window: int,
    halo: int,
    precision: Precision = "float32",
) -> Population:
    """Stored models, encoded and decoded.

    Raises:
        ValueError: the architecture is unknown, or `encode` refuses.
    """
    passing = (window, halo, precision)
    return reconstruct(model, encode_rows(model, shelf, rows, *passing), *passing)


def stored_models(shelf: Shelf, rows: Int[np.ndarray, " rows"]) -> Population:
    """Models as they are stored.

    Raises:
        ValueError: their architecture is unknown.
    """
    return population_of(shelf.architecture, shelf.states(rows), shelf.source)


def population_of(
    architecture: Architecture | None, tensors: dict[str, Tensor], source: str
) -> Population:
    """Stacked tensors as models.

    Raises:
        ValueError: their architecture is unknown.
    """
    if architecture is None:
        raise ValueError(
            f"{source}: it is not known how to build these networks, so they cannot be run; "
            "preprocess the zoo with an architecture"
        )
    return Population(architecture, tensors)


def shared(tensors: Mapping[str, Tensor], n: int) -> dict[str, Tensor]:
    """What `n` models made of several have in common: mean of floats, integers of the first."""
    return {
        name: (tensor.mean(0) if tensor.is_floating_point() else tensor[0])
        .expand(n, *tensor.shape[1:])
        .clone()
        for name, tensor in tensors.items()
    }


def mend(population: Population, layout: Layout) -> Mended:
    """Running variances that were decoded to zero or less become small ones, and are counted.

    A negative variance has no root, and one of nearly zero makes its channel drown all others. In
    its place comes a hundredth of the mean magnitude of the variances of its model and layer,
    which makes the channel ten times too loud at worst where an average one was meant. Where
    variances are no tokens they were not decoded, and stay.
    """
    count = torch.zeros(len(population), dtype=torch.long)
    decoded = layout.batchnorm == "grouped"
    found = {k: t for k, t in population.tensors.items() if decoded and k.endswith(VARIANCE)}
    for variances in found.values():
        count += (variances <= 0).sum(1).cpu()
    positive = {name: _positive(variances) for name, variances in found.items()}
    return Mended(replace(population, tensors=population.tensors | positive), count)


def are_finite(population: Population) -> Bool[Tensor, " models"]:
    """Which models consist of numbers; one NaN or infinite weight makes a model useless."""
    finite = torch.ones(len(population), dtype=torch.bool)
    for tensor in population.tensors.values():
        finite &= tensor.reshape(len(tensor), -1).isfinite().all(1).cpu()
    return finite


def _positive(variances: Float[Tensor, "models channels"]) -> Float[Tensor, "models channels"]:
    floor = 0.01 * variances.abs().mean(1, keepdim=True)
    return torch.where(variances <= 0, floor, variances)
