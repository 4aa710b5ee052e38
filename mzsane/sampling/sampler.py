"""What a sampler is: latents of a few anchors become a distribution over whole models.

A sampler sees the anchors' latents and the layer of every token, and knows nothing of weights. Each
drawn model has a random stream of its own, seeded from the caller's generator: drawing ten models
at once or in two fives gives the same ten, so a caller may stream as many as memory allows.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

Draw = Callable[[np.random.Generator], Float[Tensor, "tokens latent"]]
"""Draws one model; a function of the state of the generator that it is given."""

PART = 2**17
"""Numbers of each anchor that are worked on at once where all are to be passed through: 512 kB."""


class Sampler(ABC):
    """A way to draw latents of whole models from those of anchors."""

    @abstractmethod
    def fit(
        self, latents: Float[Tensor, "anchors tokens latent"], layers: Int[Tensor, " tokens"]
    ) -> Draw:
        """The distribution around some anchors.

        Args:
            latents: of the anchors.
            layers: layer of every token.

        Raises:
            ValueError: these are too few anchors.
        """

    def sample(
        self,
        latents: Float[Tensor, "anchors tokens latent"],
        layers: Int[Tensor, " tokens"],
        n: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "n tokens latent"]:
        """Draw `n` models; `generator` is a CPU generator and advances by `n` numbers."""
        return draw(self.fit(latents, layers), latents, n, generator)


def draw(
    one: Draw,
    like: Float[Tensor, "anchors tokens latent"],
    n: int,
    generator: torch.Generator,
) -> Float[Tensor, "n tokens latent"]:
    """`n` models from a distribution that was fitted to `like`."""
    drawn = like.new_empty(n, *like.shape[1:])
    for place, rng in enumerate(streams(n, generator)):
        drawn[place] = one(rng)
    return drawn


def streams(n: int, generator: torch.Generator) -> Iterator[np.random.Generator]:
    """One random stream per model; consecutive calls continue where the last one ended."""
    for seed in torch.randint(2**62, (n,), generator=generator).tolist():
        yield np.random.default_rng(seed)


def normal(rng: np.random.Generator, like: Tensor) -> Tensor:
    """Standard normal noise, drawn on the CPU so that every device sees the same."""
    return torch.from_numpy(rng.standard_normal(like.shape, dtype=np.float32)).to(like)


def spread_of(
    latents: Float[Tensor, "anchors tokens latent"],
) -> Float[Tensor, "tokens latent"]:
    """Standard deviation over the anchors; biased, so that one anchor has none.

    A few tokens at a time, for a processor's caches; torch's std over a leading axis is slow.
    """
    spread = torch.empty_like(latents[0])
    together = max(1, PART // latents[0, 0].numel())
    for part, own in zip(latents.split(together, 1), spread.split(together), strict=True):
        mean = part.mean(0)
        squares = torch.zeros_like(mean)
        for anchor in part:
            deviation = anchor - mean
            squares.addcmul_(deviation, deviation)
        torch.sqrt(squares.div_(len(part)), out=own)
    return spread
