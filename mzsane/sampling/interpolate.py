"""Models between a few anchors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.sampling.sampler import Draw, Sampler

PARALLEL = 1e-3  # radians below which an arc is as good as its chord, and acos imprecise
TINY = 1e-30  # length of what has no direction

Tokens = Float[Tensor, "tokens latent"]


@dataclass(frozen=True)
class Interpolate(Sampler):
    r"""A mixture of `k` different anchors, the same for all tokens of a model.

    .. math:: z = \sum_{j=1}^{k} w_j z^{(a_j)}, \qquad w \sim \mathrm{Dirichlet}(c, \ldots, c)

    Args:
        k: anchors that are mixed; all of them when there are fewer.
        spread: :math:`c > 0`, how evenly the weight is spread: 1 is uniform over all mixtures,
            larger values approach the mean of the `k`, smaller ones a single anchor.
        path: ``convex`` as above; ``spherical`` along arcs, see `along_arcs`, on which a mixture
            of unrelated vectors is as long as they are, where a convex one is shorter.

    Raises:
        ValueError: `k` is below 1, `spread` is not positive, or `path` is unknown.
    """

    k: int = 2
    spread: float = 1.0
    path: Literal["convex", "spherical"] = "convex"

    def __post_init__(self) -> None:
        """Refuse mixtures of nothing."""
        if self.k < 1 or self.spread <= 0:
            raise ValueError(
                f"Interpolate(k={self.k}, spread={self.spread}): give k >= 1 and spread > 0"
            )
        if self.path not in ("convex", "spherical"):
            raise ValueError(f"Interpolate.path is {self.path!r}; choose convex or spherical")

    def fit(
        self, latents: Float[Tensor, "anchors tokens latent"], layers: Int[Tensor, " tokens"]
    ) -> Draw:
        """Mixtures of these anchors."""
        k = min(self.k, len(latents))

        def one(rng: np.random.Generator) -> Tokens:
            anchors = latents[torch.from_numpy(rng.choice(len(latents), size=k, replace=False))]
            weights = rng.dirichlet([self.spread] * k)
            if self.path == "spherical":
                return along_arcs(anchors, weights.tolist())
            return torch.einsum("k,ktd->td", torch.from_numpy(weights).to(latents), anchors)

        return one


def along_arcs(anchors: Float[Tensor, "anchors tokens latent"], weights: Sequence[float]) -> Tokens:
    r"""Each token on the sphere between the anchors' tokens (slerp, Shoemake 1985).

    Directions go along great circles and lengths along straight lines. Of more than two, each in
    turn is mixed into what those before it gave, by :math:`w_j / \sum_{i \le j} w_i`.

    Args:
        anchors: at least one.
        weights: not negative, of sum 1.
    """
    mixed, total = anchors[0], weights[0]
    for anchor, weight in zip(anchors[1:], weights[1:], strict=True):
        total += weight
        mixed = _arc(mixed, anchor, weight / total if total else 0.0)
    return mixed


def _arc(start: Tokens, end: Tokens, share: float) -> Tokens:
    """A share of the way; straight where directions are parallel, opposite or missing."""
    lengths = [tokens.norm(dim=-1, keepdim=True) for tokens in (start, end)]
    first, last = start / lengths[0].clamp(min=TINY), end / lengths[1].clamp(min=TINY)
    angle = (first * last).sum(-1, keepdim=True).clamp(-1, 1).acos()
    sine = angle.sin()
    direction = (torch.sin((1 - share) * angle) * first + torch.sin(share * angle) * last) / sine
    curved = (sine > PARALLEL) & (lengths[0] > TINY) & (lengths[1] > TINY)
    return torch.where(curved, direction * torch.lerp(*lengths, share), start.lerp(end, share))
