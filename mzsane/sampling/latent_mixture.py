"""A density over whole models, in the few directions in which the anchors differ."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.sampling.sampler import Draw, Sampler

NEGLIGIBLE = 1e-6  # share of the largest variance below which a direction is rounding
RIDGE = 1e-6  # added to variances, in units of that of the first direction


class Components(NamedTuple):
    """Principal components of n anchors, as combinations of them.

    Attributes:
        scores: of the anchors; their variance along the first is 1.
        weights: a model with scores s is the mean plus ``s @ weights`` of the anchors' deviations.
    """

    scores: Float[np.ndarray, "anchors rank"]
    weights: Float[np.ndarray, "rank anchors"]


@dataclass(frozen=True)
class LatentMixture(Sampler):
    r"""A mixture of normal distributions over whole-model latents, after PCA of the anchors.

    n anchors span n - 1 directions at most, and models are drawn there: all tokens of a model
    change together. One component is the normal distribution with the mean and the covariance of
    the anchors; more let it follow groups among them (scikit-learn's `GaussianMixture`).

    Args:
        components: of the mixture, at most one less than there are anchors.
        rank: directions that are kept, those of largest variance; None keeps all.
        covariance: of a component: ``diag`` along the directions, or ``full``.

    Raises:
        ValueError: `components` or `rank` is below 1, or `covariance` is unknown.
    """

    components: int = 1
    rank: int | None = None
    covariance: Literal["diag", "full"] = "diag"

    def __post_init__(self) -> None:
        """Refuse what is no mixture."""
        if self.components < 1 or (self.rank is not None and self.rank < 1):
            raise ValueError(
                f"LatentMixture(components={self.components}, rank={self.rank}): give 1 or more"
            )
        if self.covariance not in ("diag", "full"):
            raise ValueError(
                f"LatentMixture.covariance is {self.covariance!r}; choose diag or full"
            )

    def fit(
        self, latents: Float[Tensor, "anchors tokens latent"], layers: Int[Tensor, " tokens"]
    ) -> Draw:
        """The mixture of these anchors.

        Raises:
            ValueError: there are not more anchors than components, or all are the same.
        """
        from sklearn.mixture import GaussianMixture

        if self.components > len(latents) - 1:
            raise ValueError(
                f"LatentMixture(components={self.components}) needs at least "
                f"{self.components + 1} anchors, there are {len(latents)}"
            )
        scores, weights = principal_components(latents, self.rank)
        mixture = GaussianMixture(
            self.components, covariance_type=self.covariance, reg_covar=RIDGE, random_state=0
        ).fit(scores)
        full = self.covariance == "full"
        roots = [np.linalg.cholesky(c if full else np.diag(c)) for c in mixture.covariances_]
        mean = latents.mean(0)
        share = torch.from_numpy(weights).to(latents)

        def one(rng: np.random.Generator) -> Float[Tensor, "tokens latent"]:
            component = rng.choice(self.components, p=mixture.weights_)
            root = roots[component]
            place = mixture.means_[component] + root @ rng.standard_normal(len(root))
            parts = torch.from_numpy(place).to(latents) @ share
            return mean * (1 - parts.sum()) + torch.einsum("a,atd->td", parts, latents)

        return one


def principal_components(
    latents: Float[Tensor, "anchors tokens latent"], rank: int | None = None
) -> Components:
    """PCA of the anchors by their inner products, which are few where dimensions are many.

    Raises:
        ValueError: all anchors are the same.
    """
    n = len(latents)
    deviations = (latents - latents.mean(0)).flatten(1)
    products = (deviations @ deviations.T).double().cpu().numpy()
    values, vectors = np.linalg.eigh(products)
    values, vectors = values[::-1], vectors[:, ::-1]
    kept = int((values > NEGLIGIBLE * values[0]).sum()) if values[0] > 0 else 0
    if kept == 0:
        raise ValueError("all anchors are the same, so there is nothing between them; take others")
    kept = min(kept, n - 1, rank or n)
    values, vectors = values[:kept], vectors[:, :kept]
    unit = np.sqrt(values[0] / n)  # standard deviation along the first direction
    return Components(vectors * np.sqrt(values) / unit, (vectors / np.sqrt(values)).T * unit)
