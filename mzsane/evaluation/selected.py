"""What validation images choose among the anchors."""

from collections.abc import Sequence

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


def greedy_soup(anchors: Population, validation: Split, workers: int) -> Population:
    """One model, an average to which anchors are added while that does not hurt.

    Algorithm 1 of Wortsman et al., arXiv:2203.05482: in decreasing order of validation accuracy,
    each anchor is kept if the average of what has been kept with it is at least as accurate on
    validation images. Averages have running statistics of their own, of validation images.

    Args:
        anchors: as stored, in canonical form.
        validation: images that may select.
        workers: of `mzsane.populations.evaluate`.
    """
    order = _accuracy(anchors, validation, workers).argsort(descending=True, stable=True).tolist()
    kept, reached = order[:1], _of_soup(anchors, order[:1], validation, workers)
    for anchor in order[1:]:
        accuracy = _of_soup(anchors, [*kept, anchor], validation, workers)
        if accuracy >= reached:
            kept, reached = [*kept, anchor], accuracy
    return average(anchors[torch.tensor(kept)])


def _of_soup(anchors: Population, kept: Sequence[int], validation: Split, workers: int) -> float:
    """Accuracy of the average of some anchors."""
    soup = condition(average(anchors[torch.tensor(kept)]), validation)
    return float(_accuracy(soup, validation, workers))


def _accuracy(population: Population, split: Split, workers: int) -> Float[Tensor, " models"]:
    """On the CPU; of models that give no numbers, below all others."""
    outcome = evaluate(population, split, workers)
    return outcome.accuracy.masked_fill(~outcome.loss.isfinite(), -1.0).cpu()
