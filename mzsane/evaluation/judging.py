"""From a population to rows of the results table."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.evaluation.baselines import Method
from mzsane.evaluation.distances import overlap
from mzsane.evaluation.novelty import Neighbourhood, Novelty
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet, Split
from mzsane.populations import Outcome, Population, condition, evaluate
from mzsane.sampling import stored_models


class Judge:
    """Evaluates populations of one architecture, and compares them with its training models.

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

    def rows(self, method: Method) -> Iterator[Row]:
        """One row per model and image set; novelty does not depend on images."""
        novelty = self._neighbourhood.novelty(method.population)
        for name, images in self._images.items():
            population = self._ready(method, images.validation)
            outcome = evaluate(population, images.test, self._workers)
            theirs = self._predictions(name, images.test, novelty.row)
            yield from self._compare(method, name, outcome, theirs, images.test.labels, novelty)

    def _ready(self, method: Method, validation: Split) -> Population:
        """The models with running statistics of their own; stored models have theirs."""
        population = method.population.to(self._device)
        if method.kind == "zoo":
            return population
        return condition(population, validation, workers=self._workers)

    def _predictions(
        self, name: str, test: Split, rows: Int[np.ndarray, " models"]
    ) -> Int[Tensor, "models images"]:
        """Of stored models; each is evaluated once per image set."""
        known = self._known[name]
        if missing := sorted(set(rows.tolist()) - known.keys()):
            stored = stored_models(self._neighbourhood.shelf, np.array(missing))
            outcome = evaluate(stored.to(self._device), test, self._workers)
            known.update(zip(missing, outcome.predictions.cpu(), strict=True))
        return torch.stack([known[row] for row in rows.tolist()])

    def _compare(
        self,
        method: Method,
        images: str,
        outcome: Outcome,
        theirs: Int[Tensor, "models images"],
        labels: Int[Tensor, " images"],
        novelty: Novelty,
    ) -> Iterator[Row]:
        """Rows of one population on one image set."""
        shelf, labels = self._neighbourhood.shelf, labels.cpu()
        ours = outcome.predictions.cpu()
        agreement = (ours == theirs).double().mean(1)
        errors = overlap(ours != labels, theirs != labels)
        for model, row in enumerate(novelty.row.tolist()):
            yield {
                "source": shelf.source,
                "architecture": method.population.architecture.name,
                "method": method.name,
                "kind": method.kind,
                "images": images,
                "split": "test",
                "model": model,
                "accuracy": float(outcome.accuracy[model]),
                "loss": float(outcome.loss[model]),
                "novelty": float(novelty.distance[model]),
                "nearest": f"{shelf.models[row]}@{shelf.epochs[row]}",
                "agreement": float(agreement[model]),
                "error_overlap": float(errors[model]),
            }


def fits(architecture: Architecture, images: ImageSet) -> bool:
    """Whether networks of this architecture can be run on these images and have their classes."""
    shape = tuple(images.test.images.shape[1:])
    return shape == architecture.input_shape and images.classes == architecture.classes
