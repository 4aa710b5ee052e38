"""Drawing many models and keeping the best, once or in rounds."""

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.sampling.sampler import Sampler, draw

Latents = Float[Tensor, "models tokens latent"]

Score = Callable[[Latents], Float[Tensor, " models"]]
"""How good models are, the larger the better; NaN for one that is broken."""


class Selected(NamedTuple):
    """The best of what was drawn, the best first.

    Attributes:
        latents: of the survivors.
        scores: theirs.
        indices: which draw of the last round each was.
        broken: draws of all rounds that had no score.
    """

    latents: Float[Tensor, "survivors tokens latent"]
    scores: Float[Tensor, " survivors"]
    indices: Int[Tensor, " survivors"]
    broken: int


@dataclass(frozen=True)
class Selection:
    """Keeps the best of many draws (SANE, arXiv:2406.09997).

    With one round this is subsampling: `candidates` are drawn, the `survivors` with the highest
    scores are kept. With more it is bootstrapping: survivors become the anchors of the next round.
    Which images scores come from is up to the caller, and they must not be those of the test split
    (`mzsane.sampling.select`).

    Args:
        sampler: what draws.
        candidates: drawn in every round.
        survivors: kept of them.
        rounds: how often.

    Raises:
        ValueError: numbers below 1, or more survivors than candidates.
    """

    sampler: Sampler
    candidates: int = 200
    survivors: int = 10
    rounds: int = 1

    def __post_init__(self) -> None:
        """Refuse what would select nothing."""
        if min(self.candidates, self.survivors, self.rounds) < 1:
            raise ValueError(f"{self._told}: candidates, survivors and rounds are at least 1")
        if self.survivors > self.candidates:
            raise ValueError(
                f"{self._told}: more survivors than candidates; draw more or keep fewer"
            )

    def select(
        self,
        latents: Float[Tensor, "anchors tokens latent"],
        layers: Int[Tensor, " tokens"],
        generator: torch.Generator,
        score: Score,
        together: int = 1,
    ) -> Selected:
        """The survivors of the last round.

        Candidates are drawn and scored a few at a time, and only the best so far are kept, so that
        memory does not grow with their number.

        Args:
            latents: of the anchors.
            layers: layer of every token.
            generator: of the CPU; advances by the number of draws.
            score: of models with these latents.
            together: candidates that are drawn and scored at a time; changes no draw.

        Raises:
            ValueError: the sampler needs more anchors, or every candidate is broken.
        """
        broken = 0
        for _ in range(self.rounds):
            candidates = self._draw(latents, layers, generator, together)
            selected = keep_best(candidates, score, self.survivors)
            broken += selected.broken
            if not len(selected.scores):
                raise ValueError(
                    f"{self._told}: none of the candidates gives numbers; take another sampler, a "
                    "smaller bandwidth, or an autoencoder that reconstructs its zoo"
                )
            latents = selected.latents
        return selected._replace(broken=broken)

    def _draw(
        self,
        latents: Float[Tensor, "anchors tokens latent"],
        layers: Int[Tensor, " tokens"],
        generator: torch.Generator,
        together: int,
    ) -> Iterator[Latents]:
        """The candidates of one round, a few at a time."""
        one = self.sampler.fit(latents, layers)
        for first in range(0, self.candidates, together):
            yield draw(one, latents, min(together, self.candidates - first), generator)

    @property
    def _told(self) -> str:
        numbers = f"candidates={self.candidates}, survivors={self.survivors}, rounds={self.rounds}"
        return f"Selection({numbers})"


def keep_best(candidates: Iterator[Latents], score: Score, survivors: int) -> Selected:
    """The best of a stream; of equals, those that came first.

    Args:
        candidates: some at a time.
        score: see `Score`.
        survivors: kept at most.
    """
    best: list[tuple[float, int, Tensor]] = []
    broken = number = 0
    for some in candidates:
        for one, value in zip(some, score(some).tolist(), strict=True):
            if math.isnan(value):
                broken += 1
            elif len(best) < survivors:
                heapq.heappush(best, (value, -number, one.clone()))
            elif value > best[0][0]:
                heapq.heapreplace(best, (value, -number, one.clone()))
            number += 1
    best.sort(key=lambda entry: entry[:2], reverse=True)
    return Selected(
        latents=torch.stack([one for _, _, one in best]) if best else some[:0],
        scores=torch.tensor([value for value, _, _ in best]),
        indices=torch.tensor([-number for _, number, _ in best], dtype=torch.long),
        broken=broken,
    )
