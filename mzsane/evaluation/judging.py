"""From populations to rows of the results table."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.evaluation.baselines import Method
from mzsane.evaluation.distances import overlap
from mzsane.evaluation.novelty import Neighbourhood, Novelty
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet
from mzsane.populations import Population, condition, evaluate
from mzsane.sampling import stored_models


class Verdict(NamedTuple):
    """What images say of each model, alone and beside its nearest training model."""

    accuracy: Float[Tensor, " models"]
    loss: Float[Tensor, " models"]
    agreement: Float[Tensor, " models"]
    error_overlap: Float[Tensor, " models"]


class Judge:
    """Evaluates models of one architecture, and compares them with its training models.

    Image splits have fixed roles: running statistics are computed from *validation* images,
    everything reported is measured on *test* images, and *train* images are not touched.

    Args:
        neighbourhood: the training models.
        images: sets that fit the architecture, by the name that the table shows.
        workers: processes of `mzsane.populations.evaluate`; -1 takes every core.
        device: where models run.
    """

    def __init__(
        self,
        neighbourhood: Neighbourhood,
        images: Mapping[str, ImageSet],
        workers: int,
        device: torch.device,
    ) -> None:
        self._neighbourhood, self._images = neighbourhood, images
        self._workers, self._device = workers, device
        self._known: dict[str, dict[int, Tensor]] = {name: {} for name in images}

    def rows(self, methods: Sequence[Method]) -> Iterator[Row]:
        """One row per image set, method and model, in this order.

        All models are evaluated together, since a few at a time do not repay other processes.
        """
        whole = Population.concatenate([method.population for method in methods])
        novelty = self._neighbourhood.novelty(whole)
        ends = accumulate((len(method.population) for method in methods), initial=0)
        parts = [slice(first, last) for first, last in pairwise(ends)]
        for name in self._images:
            verdict = self._verdict(name, methods, novelty.row)
            for method, part in zip(methods, parts, strict=True):
                mine = Verdict(*(numbers[part] for numbers in verdict))
                near = Novelty(novelty.distance[part], novelty.row[part])
                yield from self._rows(method, name, mine, near)

    def _verdict(
        self, name: str, methods: Sequence[Method], nearest: Int[np.ndarray, " models"]
    ) -> Verdict:
        """All models on one image set; a training model's predictions are made once."""
        images, known = self._images[name], self._known[name]
        models = [self._ready(method, images) for method in methods]
        count = len(nearest)
        if missing := sorted(set(nearest.tolist()) - known.keys()):
            stored = stored_models(self._neighbourhood.shelf, np.array(missing))
            models.append(stored.to(self._device))
        outcome = evaluate(Population.concatenate(models), images.test, self._workers)
        predictions, labels = outcome.predictions.cpu(), images.test.labels.cpu()
        known.update(zip(missing, predictions[count:], strict=True))
        ours, theirs = predictions[:count], torch.stack([known[row] for row in nearest.tolist()])
        return Verdict(
            accuracy=outcome.accuracy[:count].cpu(),
            loss=outcome.loss[:count].cpu(),
            agreement=(ours == theirs).double().mean(1),
            error_overlap=overlap(ours != labels, theirs != labels),
        )

    def _ready(self, method: Method, images: ImageSet) -> Population:
        """The models with running statistics of their own; stored models have theirs."""
        population = method.population.to(self._device)
        if method.kind == "zoo":
            return population
        return condition(population, images.validation, workers=self._workers)

    def _rows(
        self, method: Method, images: str, verdict: Verdict, novelty: Novelty
    ) -> Iterator[Row]:
        """Rows of one method on one image set."""
        shelf = self._neighbourhood.shelf
        for model, row in enumerate(novelty.row.tolist()):
            yield {
                "source": shelf.source,
                "architecture": method.population.architecture.name,
                "method": method.name,
                "kind": method.kind,
                "images": images,
                "split": "test",
                "classes": method.population.architecture.classes,
                "model": model,
                "accuracy": float(verdict.accuracy[model]),
                "loss": float(verdict.loss[model]),
                "novelty": float(novelty.distance[model]),
                "nearest": f"{shelf.models[row]}@{shelf.epochs[row]}",
                "agreement": float(verdict.agreement[model]),
                "error_overlap": float(verdict.error_overlap[model]),
            }


def fits(architecture: Architecture, images: ImageSet) -> bool:
    """Whether networks of this architecture can be run on these images and have their classes."""
    shape = tuple(images.test.images.shape[1:])
    return shape == architecture.input_shape and images.classes == architecture.classes
