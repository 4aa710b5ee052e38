"""What validation images choose among the anchors, and among these with noise."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mzsane.evaluation.baselines import add_noise, average
from mzsane.images import Split
from mzsane.populations import Population, condition, evaluate
from mzsane.sampling import Selected, at_a_time, keep_best, shared
from mzsane.tokens import Layout


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


def best_with_noise(
    anchors: Population,
    layout: Layout,
    n: int,
    candidates: int,
    scale: float,
    judge: Callable[[Population], Float[Tensor, " models"]],
    rng: np.random.Generator,
) -> Selected:
    """The best of many anchors with noise: selection as samplers have it, without an autoencoder.

    Args:
        anchors: as stored.
        layout: theirs.
        n: models to keep.
        candidates: of which they are the best.
        scale: of the noise, see `add_noise`.
        judge: by validation images, `mzsane.evaluation.selecting.OnValidation`.
        rng: decides every draw.

    Returns:
        Weights in place of latents, each as a token: see `weights_of`.
    """
    together = at_a_time(layout)

    def drawn() -> Iterator[Float[Tensor, "models weights one"]]:
        for first in range(0, candidates, together):
            noised = add_noise(anchors, min(together, candidates - first), scale, rng)
            yield layout.flatten(noised.tensors).unsqueeze(-1)

    return keep_best(
        drawn(), lambda flat: judge(weights_of(flat, anchors, layout)).float().cpu(), n
    )


def weights_of(
    flat: Float[Tensor, "models weights one"], anchors: Population, layout: Layout
) -> Population:
    """Models with these weights; what is no floating-point number is the anchors'."""
    drawn = layout.unflatten(flat.squeeze(-1))
    return Population(anchors.architecture, shared(anchors.tensors, len(flat)) | drawn)


def _accuracy(population: Population, split: Split, workers: int) -> Float[Tensor, " models"]:
    """On the CPU; of models that give no numbers, below all others."""
    outcome = evaluate(population, split, workers)
    return outcome.accuracy.masked_fill(~outcome.loss.isfinite(), -1.0).cpu()
