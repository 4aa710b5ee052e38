"""The plain baseline: every number by itself."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from mzsane.sampling.sampler import Draw, Sampler, normal, spread_of


@dataclass(frozen=True)
class Gaussian(Sampler):
    """One normal distribution per token and dimension: mean and standard deviation of the anchors.

    It keeps the spread of every token and forgets which tokens belong together (SANE,
    arXiv:2406.09997). A single anchor has no spread and is repeated.
    """

    def fit(
        self, latents: Float[Tensor, "anchors tokens latent"], layers: Int[Tensor, " tokens"]
    ) -> Draw:
        """The normal distributions of these anchors."""
        mean, std = latents.mean(0), spread_of(latents)
        return lambda rng: normal(rng, mean).mul_(std).add_(mean)
