"""The trivial ways to get a model, which a generator has to beat (arXiv:2506.07998)."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from mzsane.evaluation.novelty import trained_parameters
from mzsane.evaluation.streams import torch_generator
from mzsane.populations import Population, initialise
from mzsane.sampling import KDE, Interpolate, Sampler, shared
from mzsane.symmetry import Symmetry
from mzsane.tokens import Layout

BANDWIDTH = 0.2
"""Of densities over weights, in standard deviations over the anchors; as conf/sampler/kde_*."""

NOISE = "anchor_noise"
"""Family of the baselines that add noise to anchors."""

NOISE_SCALES = (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1.0)
"""Near enough to each other for their frontier: with two, its area is half of what they reach."""

IN_WEIGHTS = {
    "weight_kde": KDE("token", BANDWIDTH),
    "weight_kde_joint": KDE("joint", BANDWIDTH),
    "weight_interpolate": Interpolate(2),
}
"""Samplers that need no autoencoder."""

Maker = Callable[[Population, np.random.Generator], Population]
"""Makes models of the anchors; the generator decides every draw."""


def weight_baselines(
    layout: Layout, symmetry: Symmetry | None, n: int, scales: Sequence[float] = NOISE_SCALES
) -> dict[str, Maker]:
    """All that is made of the anchors' weights without an autoencoder.

    Only trained parameters are drawn; buffers are the anchors' (`mzsane.sampling.shared`), and
    running statistics to be computed anew.

    Args:
        layout: of the anchors, which are in canonical form.
        symmetry: theirs; without it there is no ``average_permuted``.
        n: models of each method; an average is one model.
        scales: of ``anchor_noise_<scale>``, in standard deviations of each tensor.

    Returns:
        By name. ``random``: untrained networks. ``anchor_noise_<scale>``: see `add_noise`.
        ``average``: of the anchors as stored, that is, aligned. ``average_permuted``: see
        `permute`. ``weight_kde``, ``weight_kde_joint`` and ``weight_interpolate``: samplers of
        latents on the weights themselves, see `drawn_in_weights`.
    """
    makers: dict[str, Maker] = {"random": lambda anchors, rng: _untrained(anchors, n, rng)}
    for scale in scales:
        makers[f"{NOISE}_{scale:g}"] = lambda anchors, rng, scale=scale: add_noise(
            anchors, n, scale, rng
        )
    makers["average"] = lambda anchors, rng: average(anchors)
    if symmetry is not None:
        makers["average_permuted"] = lambda anchors, rng: average(permute(anchors, symmetry, rng))
    for name, sampler in IN_WEIGHTS.items():
        makers[name] = lambda anchors, rng, sampler=sampler: drawn_in_weights(
            anchors, layout, n, sampler, rng
        )
    return makers


def add_noise(anchors: Population, n: int, scale: float, rng: np.random.Generator) -> Population:
    """Anchors plus normal noise of `scale` times the standard deviation of each of its tensors."""
    chosen = anchors[torch.from_numpy(rng.integers(len(anchors), size=n))]
    trained = trained_parameters(anchors.architecture)
    noised = {
        name: tensor + scale * _spread(tensor) * _normal(rng, tensor)
        for name, tensor in chosen.tensors.items()
        if name in trained
    }
    return Population(chosen.architecture, chosen.tensors | noised)


def average(anchors: Population) -> Population:
    """One model, the mean of all."""
    return Population(anchors.architecture, shared(anchors.tensors, 1))


def permute(anchors: Population, symmetry: Symmetry, rng: np.random.Generator) -> Population:
    """The same functions, each with its channels in a random order.

    A store holds no model in the order in which it was trained; random orders are as unrelated as
    those of independent initialisations, so the average of these stands for that of raw models.
    """
    states = [
        symmetry.apply(anchors.state(model), symmetry.random(rng)) for model in range(len(anchors))
    ]
    return Population.from_states(anchors.architecture, states)


def drawn_in_weights(
    anchors: Population, layout: Layout, n: int, sampler: Sampler, rng: np.random.Generator
) -> Population:
    """Models that a sampler of latents draws from the anchors' weights.

    Args:
        anchors: in canonical form.
        layout: theirs.
        n: models.
        sampler: every weight counts as a token: a `KDE` that draws by ``token`` takes each weight
            from an anchor of its own, ``joint`` all weights of a model from one.
        rng: decides the draw.
    """
    flat = layout.flatten(anchors.tensors).unsqueeze(-1)
    layers = torch.zeros(flat.shape[1], dtype=torch.long)
    drawn = layout.unflatten(sampler.sample(flat, layers, n, torch_generator(rng)).squeeze(-1))
    trained = trained_parameters(anchors.architecture)
    tensors = {
        name: drawn[name] if name in trained else buffer
        for name, buffer in shared(anchors.tensors, n).items()
    }
    return Population(anchors.architecture, tensors)


def _untrained(anchors: Population, n: int, rng: np.random.Generator) -> Population:
    return initialise(anchors.architecture, rng.integers(2**31, size=n).tolist())


def _spread(tensor: Tensor) -> Tensor:
    """Standard deviation of each model's tensor; a scalar has none."""
    std = tensor.flatten(1).std(1, correction=0)
    return std.reshape(-1, *[1] * (tensor.ndim - 1))


def _normal(rng: np.random.Generator, like: Tensor) -> Tensor:
    return torch.from_numpy(rng.standard_normal(like.shape, dtype=np.float32)).to(like)
