"""Several models asked together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb, log

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import nll_loss

from mzsane.evaluation.judging import Judge
from mzsane.evaluation.methods import Method
from mzsane.evaluation.protocols.protocol import Protocol
from mzsane.evaluation.statistics import AVERAGED
from mzsane.evaluation.streams import Stream
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet
from mzsane.populations import log_probabilities

Logarithms = Float[Tensor, "models images classes"]


@dataclass(frozen=True)
class Ensembles(Protocol):
    r"""The mean of what k models of a method think (Lakshminarayanan et al., arXiv:1612.01474).

    .. math:: p(y \mid x) = \frac{1}{k} \sum_{j=1}^{k} \mathrm{softmax}(f_{a_j}(x))_y

    Members are drawn without replacement among models that are not broken; of a method that has
    fewer than k of those there is no ensemble of k. Novelty and what depends on it are means over
    the members.

    Args:
        sizes: each k.
        draws: ensembles of every size; as many as there are different ones, if fewer.

    Raises:
        ValueError: a size below 1, or no draws.
    """

    sizes: Sequence[int] = (5,)
    draws: int = 10

    def __post_init__(self) -> None:
        """Refuse ensembles of nobody."""
        if not self.sizes or min(self.sizes) < 1 or self.draws < 1:
            raise ValueError(
                f"protocol.sizes={list(self.sizes)}, draws={self.draws}: give sizes and draws of 1 "
                "or more"
            )

    def rows(
        self, method: Method, subjects: Subjects, images: ImageSet, judge: Judge, stream: Stream
    ) -> Iterator[Row]:
        """One row an ensemble; `model` is its number."""
        ready = judge.ready(method, subjects.population, images)
        found = log_probabilities(ready, images.test, judge.workers).cpu()
        alone = list(judge.rows(subjects, ready, images))
        whole = np.array([row["model"] for row in alone if row["finite"]], dtype=np.int64)
        for size in self.sizes:
            if size > len(whole):
                continue
            rng = stream(f"ensembles of {size}, {method.name}")
            for number, members in enumerate(_drawn(whole, size, self.draws, rng)):
                together = _together(found, members, images.test.labels.cpu())
                yield _row(alone, members) | together | {"model": number}


def _drawn(
    models: Int[np.ndarray, " models"], size: int, draws: int, rng: np.random.Generator
) -> list[list[int]]:
    """Different sets of members, in the order in which they were drawn."""
    wanted = min(draws, comb(len(models), size))
    found: dict[tuple[int, ...], None] = {}
    while len(found) < wanted:
        chosen = rng.choice(models, size=size, replace=False)
        found[tuple(sorted(chosen.tolist()))] = None
    return [list(members) for members in found]


def _together(
    found: Logarithms, members: list[int], labels: Int[Tensor, " images"]
) -> dict[str, float | int]:
    """Accuracy in [0, 1] and loss in nats of one ensemble, as rows have them."""
    mean = found[members].double().logsumexp(0) - log(len(members))
    return {
        "accuracy": float((mean.argmax(1) == labels).double().mean()),
        "loss": float(nll_loss(mean, labels)),
        "members": len(members),
        "epochs": 0.0,
        "finite": 1,
    }


def _row(alone: Sequence[Row], members: Sequence[int]) -> Row:
    """What is said of the weights of an ensemble: means over its members, and their sum."""
    chosen = [alone[member] for member in members]
    nearest = min(chosen, key=lambda row: row["novelty"])
    means = {name: float(np.mean([row[name] for row in chosen])) for name in AVERAGED}
    return nearest | means | {"mended": sum(row["mended"] for row in chosen)}
