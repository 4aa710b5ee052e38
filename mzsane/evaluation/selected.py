"""What validation images choose among the anchors."""

import torch
from jaxtyping import Float
from torch import Tensor

from mzsane.evaluation.baselines import average
from mzsane.images import Split
from mzsane.populations import Population, condition, evaluate


def best_on_validation(anchors: Population, validation: Split, workers: int) -> Population:
    """The one anchor with the highest accuracy on validation images, the first if several have.

    Args:
        anchors: as stored.
        validation: images that may select.
        workers: of `mzsane.populations.evaluate`.
    """
    best = int(_accuracy(anchors, validation, workers).argmax())
    return anchors[best : best + 1]


def greedy_soup(
    anchors: Population, validation: Split, conditioning: Split | None, workers: int
) -> Population:
    """One model, an average to which anchors are added while that does not hurt.

    Algorithm 1 of Wortsman et al., arXiv:2203.05482: in decreasing order of validation accuracy,
    each anchor is kept if the average of what has been kept with it is at least as accurate on
    validation images.

    Args:
        anchors: as stored, in canonical form.
        validation: images that may select.
        conditioning: images from which each average gets running statistics of its own; None
            averages those of the anchors.
        workers: of `mzsane.populations.evaluate`.
    """
    order = _accuracy(anchors, validation, workers).argsort(descending=True, stable=True).tolist()
    kept, reached = order[:1], -1.0
    for anchor in order:
        some = list(dict.fromkeys([*kept, anchor]))
        soup = average(anchors[torch.tensor(some)])
        if conditioning is not None:
            soup = condition(soup, conditioning)
        accuracy = float(_accuracy(soup, validation, workers))
        if accuracy >= reached:
            kept, reached = some, accuracy
    return average(anchors[torch.tensor(kept)])


def _accuracy(population: Population, split: Split, workers: int) -> Float[Tensor, " models"]:
    """On the CPU; of models that give no numbers, below all others."""
    outcome = evaluate(population, split, workers)
    return outcome.accuracy.masked_fill(~outcome.loss.isfinite(), -1.0).cpu()
