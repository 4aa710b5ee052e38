"""Kernel densities over the anchors' latents."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.sampling.bandwidths import cross_validated, scott, silverman
from mzsane.sampling.sampler import Draw, Sampler, normal, spread_of

Rule = Literal["scott", "silverman", "cv"]


@dataclass(frozen=True)
class KDE(Sampler):
    r"""Gaussian kernel density over the anchors' latents (SANE, arXiv:2406.09997).

    .. math:: z_t = z^{(a_t)}_t + h\, s_t\, \epsilon_t, \qquad \epsilon_t \sim N(0, I)

    The noise is independent for every token and dimension. What differs is how often an anchor
    :math:`a` is picked: a density per token mixes the anchors freely, a density over whole models
    stays near one of them.

    Args:
        draw: ``token`` picks an anchor for every token, ``layer`` one for all tokens of a layer,
            ``joint`` one for the whole model.
        bandwidth: :math:`h`; 0 repeats anchors; the published code takes 0.2, unscaled. Or a rule,
            see `mzsane.sampling.bandwidths`: ``scott`` and ``silverman`` by the number of anchors
            and of the dimensions of each density, ``cv`` one for all by cross-validation. A list
            stands for as many densities, see `each`.
        scale: unit of the bandwidth. ``dimension``: :math:`s_t` is the standard deviation over the
            anchors of each dimension of each token, or of a single anchor that over its tokens;
            ``isotropic``: its root mean square over all dimensions of a density; ``none``: 1.

    Raises:
        ValueError: `draw`, `scale` or a rule is unknown, or a bandwidth is negative or missing.
    """

    draw: Literal["token", "layer", "joint"] = "token"
    bandwidth: float | Rule | Sequence[float | Rule] = 0.2
    scale: Literal["dimension", "isotropic", "none"] = "dimension"

    def __post_init__(self) -> None:
        """Refuse names that select nothing."""
        if self.draw not in ("token", "layer", "joint"):
            raise ValueError(f"KDE.draw is {self.draw!r}; choose token, layer or joint")
        if self.scale not in ("dimension", "isotropic", "none"):
            raise ValueError(f"KDE.scale is {self.scale!r}; choose dimension, isotropic or none")
        several = _listed(self.bandwidth)
        if not several:
            raise ValueError("KDE.bandwidth is an empty list; give one bandwidth or more")
        for one in several:
            _require_known(one)

    @property
    def each(self) -> "dict[float | Rule, KDE]":
        """A density for every bandwidth, of which only one by one can be fitted."""
        return {one: replace(self, bandwidth=one) for one in _listed(self.bandwidth)}

    def fit(
        self, latents: Float[Tensor, "anchors tokens latent"], layers: Int[Tensor, " tokens"]
    ) -> Draw:
        """The density around these anchors.

        Raises:
            ValueError: there are several bandwidths.
        """
        if isinstance(self.bandwidth, Sequence) and not isinstance(self.bandwidth, str):
            raise ValueError(
                f"KDE.bandwidth is {list(self.bandwidth)}: give one here; several are for "
                "mzsane.train and mzsane.evaluate, outside of a selection"
            )
        group = self._groups(layers)
        tokens = latents.flatten(0, 1)  # a row of it is found in a third of the time
        place = torch.arange(len(layers))
        scale = self._scale(latents, group)
        spread = self._bandwidth(latents, scale, group).to(latents) * scale

        def one(rng: np.random.Generator) -> Float[Tensor, "tokens latent"]:
            anchor = torch.from_numpy(rng.integers(len(latents), size=int(group.max()) + 1))
            chosen = tokens.index_select(0, (anchor[group] * len(layers) + place).to(tokens.device))
            return normal(rng, latents[0]).mul_(spread).add_(chosen)

        return one

    def _groups(self, layers: Int[Tensor, " tokens"]) -> Int[Tensor, " tokens"]:
        """Number of the density, and so of the choice of an anchor, that each token shares."""
        if self.draw == "token":
            return torch.arange(len(layers))
        if self.draw == "layer":
            return torch.unique(layers.cpu(), return_inverse=True)[1]
        return torch.zeros(len(layers), dtype=torch.long)

    def _scale(
        self, latents: Float[Tensor, "anchors tokens latent"], group: Int[Tensor, " tokens"]
    ) -> Float[Tensor, "tokens latent"]:
        """The unit of the bandwidth."""
        if self.scale == "none":
            return torch.ones_like(latents[0])
        spread = spread_of(latents)
        if len(latents) == 1:
            spread = latents[0].std(0, correction=0).expand_as(spread)
        if self.scale == "dimension":
            return spread
        squares, where = spread.square().mean(1), group.to(latents.device)
        sums = squares.new_zeros(int(group.max()) + 1).index_add_(0, where, squares)
        mean = sums / torch.bincount(where)
        return mean.sqrt()[where][:, None].expand_as(spread)

    def _bandwidth(
        self,
        latents: Float[Tensor, "anchors tokens latent"],
        scale: Float[Tensor, "tokens latent"],
        group: Int[Tensor, " tokens"],
    ) -> Float[Tensor, "tokens one"]:
        """In units of the scale, for every token."""
        if self.bandwidth == "cv":
            return torch.full((len(group), 1), cross_validated(latents, scale, group))
        if not isinstance(self.bandwidth, str):
            return torch.full((len(group), 1), float(self.bandwidth))
        rule = scott if self.bandwidth == "scott" else silverman
        dimensions = torch.bincount(group).double() * latents.shape[2]
        return rule(len(latents), dimensions)[group][:, None]


def _listed(bandwidth: float | Rule | Sequence[float | Rule]) -> list[float | Rule]:
    if isinstance(bandwidth, str) or not isinstance(bandwidth, Sequence):
        return [bandwidth]
    return list(bandwidth)


def _require_known(bandwidth: float | Rule) -> None:
    if isinstance(bandwidth, str):
        if bandwidth not in ("scott", "silverman", "cv"):
            raise ValueError(
                f"KDE.bandwidth is {bandwidth!r}; give a number, scott, silverman or cv"
            )
    elif bandwidth < 0:
        raise ValueError(f"KDE.bandwidth is {bandwidth}; give 0 or more")
