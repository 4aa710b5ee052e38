"""Distributions over the latents of whole models, fitted to a few anchors and sampled.

A sampler sees the anchors' latents and the layer of every token, and knows nothing of weights. Each
drawn model has a random stream of its own, seeded from the caller's generator: drawing ten models
at once or in two fives gives the same ten, so a caller may stream as many as memory allows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


@runtime_checkable
class Sampler(Protocol):
    """Anything that draws latents of whole models from those of the anchors."""

    def sample(
        self,
        latents: Float[Tensor, "anchors tokens latent"],
        layers: Int[Tensor, " tokens"],
        n: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "n tokens latent"]:
        """Draw `n` models; `generator` is a CPU generator and advances by `n` numbers."""


@dataclass(frozen=True)
class KDE:
    r"""Gaussian kernel density over the anchors' latents (SANE, arXiv:2406.09997).

    .. math:: z_t = z^{(a_t)}_t + h\, s_t\, \epsilon_t, \qquad \epsilon_t \sim N(0, I)

    The noise is independent for every token and dimension. What differs is how often an anchor
    :math:`a` is picked: a density per token mixes the anchors freely, a density over whole models
    stays near one of them.

    Args:
        draw: ``token`` picks an anchor for every token, ``layer`` one for all tokens of a layer,
            ``joint`` one for the whole model.
        bandwidth: :math:`h`; 0 repeats anchors; the published code takes 0.2, unscaled.
        scale: unit of the bandwidth. ``dimension``: :math:`s_t` is the standard deviation over the
            anchors of each dimension of each token (zero for a single anchor); ``none``: 1.
    """

    draw: Literal["token", "layer", "joint"] = "token"
    bandwidth: float = 0.2
    scale: Literal["dimension", "none"] = "dimension"

    def __post_init__(self) -> None:
        """Refuse names that select nothing.

        Raises:
            ValueError: `draw` or `scale` is unknown, or `bandwidth` is negative.
        """
        if self.draw not in ("token", "layer", "joint"):
            raise ValueError(f"KDE.draw is {self.draw!r}; choose token, layer or joint")
        if self.scale not in ("dimension", "none"):
            raise ValueError(f"KDE.scale is {self.scale!r}; choose dimension or none")
        if self.bandwidth < 0:
            raise ValueError(f"KDE.bandwidth is {self.bandwidth}; give 0 or more")

    def sample(
        self,
        latents: Float[Tensor, "anchors tokens latent"],
        layers: Int[Tensor, " tokens"],
        n: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "n tokens latent"]:
        """Draw `n` models; each is a mixture of anchors plus noise."""
        group = self._groups(layers)
        token = torch.arange(len(layers))
        spread = self.bandwidth * (_std(latents) if self.scale == "dimension" else 1.0)
        drawn = latents.new_empty(n, *latents.shape[1:])
        for i, rng in enumerate(_streams(n, generator)):
            anchor = torch.from_numpy(rng.integers(len(latents), size=int(group.max()) + 1))
            drawn[i] = _normal(rng, drawn[i]).mul_(spread).add_(latents[anchor[group], token])
        return drawn

    def _groups(self, layers: Int[Tensor, " tokens"]) -> Int[Tensor, " tokens"]:
        """Number of the anchor choice that each token shares."""
        if self.draw == "token":
            return torch.arange(len(layers))
        if self.draw == "layer":
            return torch.unique(layers.cpu(), return_inverse=True)[1]
        return torch.zeros(len(layers), dtype=torch.long)


@dataclass(frozen=True)
class Gaussian:
    """One normal distribution per token and dimension: mean and standard deviation of the anchors.

    The plain baseline of SANE (arXiv:2406.09997): it keeps the spread of every token and forgets
    which tokens belong together. A single anchor has no spread and is repeated.
    """

    def sample(
        self,
        latents: Float[Tensor, "anchors tokens latent"],
        layers: Int[Tensor, " tokens"],
        n: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "n tokens latent"]:
        """Draw `n` models, every number independently."""
        mean, std = latents.mean(0), _std(latents)
        drawn = latents.new_empty(n, *latents.shape[1:])
        for i, rng in enumerate(_streams(n, generator)):
            drawn[i] = mean + std * _normal(rng, mean)
        return drawn


@dataclass(frozen=True)
class Interpolate:
    r"""A convex combination of `k` different anchors, the same for all tokens of a model.

    .. math:: z = \sum_{j=1}^{k} w_j z^{(a_j)}, \qquad w \sim \mathrm{Dirichlet}(c, \ldots, c)

    Args:
        k: anchors that are mixed; all of them when there are fewer.
        spread: :math:`c > 0`, how evenly the weight is spread: 1 is uniform over all mixtures,
            larger values approach the mean of the `k`, smaller ones a single anchor.
    """

    k: int = 2
    spread: float = 1.0

    def __post_init__(self) -> None:
        """Refuse mixtures of nothing.

        Raises:
            ValueError: `k` is below 1 or `spread` is not positive.
        """
        if self.k < 1 or self.spread <= 0:
            raise ValueError(
                f"Interpolate(k={self.k}, spread={self.spread}): give k >= 1 and spread > 0"
            )

    def sample(
        self,
        latents: Float[Tensor, "anchors tokens latent"],
        layers: Int[Tensor, " tokens"],
        n: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "n tokens latent"]:
        """Draw `n` models, each with its own anchors and weights."""
        k = min(self.k, len(latents))
        drawn = latents.new_empty(n, *latents.shape[1:])
        for i, rng in enumerate(_streams(n, generator)):
            anchor = torch.from_numpy(rng.choice(len(latents), size=k, replace=False))
            weight = torch.from_numpy(rng.dirichlet([self.spread] * k)).to(latents)
            drawn[i] = torch.einsum("k,ktd->td", weight, latents[anchor.to(latents.device)])
        return drawn


def _streams(n: int, generator: torch.Generator) -> Iterator[np.random.Generator]:
    """One random stream per model; consecutive calls continue where the last one ended."""
    for seed in torch.randint(2**62, (n,), generator=generator).tolist():
        yield np.random.default_rng(seed)


def _normal(rng: np.random.Generator, like: Tensor) -> Tensor:
    """Standard normal noise, drawn on the CPU so that every device sees the same."""
    return torch.from_numpy(rng.standard_normal(like.shape, dtype=np.float32)).to(like)


def _std(
    latents: Float[Tensor, "anchors tokens latent"],
) -> Float[Tensor, "tokens latent"]:
    """Standard deviation over the anchors; biased, so that one anchor has none."""
    mean = latents.mean(0)
    squares = torch.zeros_like(mean)
    for anchor in latents:  # ten times as fast as torch's std over a leading axis
        deviation = anchor - mean
        squares.addcmul_(deviation, deviation)
    return squares.div_(len(latents)).sqrt_()
