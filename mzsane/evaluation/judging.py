"""From models and what they answer to rows of the results table."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.evaluation.distances import disagreement, overlap
from mzsane.evaluation.methods import Method
from mzsane.evaluation.novelty import Neighbourhood
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet
from mzsane.populations import Outcome, Population, condition, evaluate
from mzsane.sampling import stored_models


class Judge:
    """Evaluates models of one architecture, and compares them with its training models.

    Image splits have fixed roles: running statistics are computed from *validation* images, models
    are fine-tuned on *train* images, everything reported is measured on *test* images.

    Args:
        neighbourhood: the training models.
        workers: processes of `mzsane.populations.evaluate`; -1 takes every core.
        device: where models run.
    """

    def __init__(self, neighbourhood: Neighbourhood, workers: int, device: torch.device) -> None:
        self.neighbourhood, self.workers, self.device = neighbourhood, workers, device
        self._known: dict[str, dict[int, Tensor]] = {}

    def ready(self, method: Method, population: Population, images: ImageSet) -> Population:
        """Models with running statistics of their own, on the device; stored models have theirs."""
        population = population.to(self.device)
        if method.kind == "zoo":
            return population
        return condition(population, images.validation, workers=self.workers)

    def rows(self, subjects: Subjects, ready: Population, images: ImageSet) -> Iterator[Row]:
        """One row a model: what it answers to test images, alone and beside its neighbours.

        Args:
            subjects: the models.
            ready: the same ones as they are run.
            images: the name of the set is that of the column `images`.
        """
        outcome = evaluate(ready, images.test, self.workers)
        yield from self.described(subjects, outcome, images)

    def described(self, subjects: Subjects, outcome: Outcome, images: ImageSet) -> Iterator[Row]:
        """One row a model, of test images that have been answered.

        A model counts as broken, and what it answers as not measured, if any of its weights or its
        loss is not finite.
        """
        predictions, labels = outcome.predictions.cpu(), images.test.labels.cpu()
        whole = subjects.finite & outcome.loss.isfinite().cpu()
        rows, distances = subjects.novelty.row.tolist(), subjects.novelty.distance.tolist()
        theirs = self._answers(images, rows)
        measured = {
            "accuracy": outcome.accuracy.cpu().double(),
            "loss": outcome.loss.cpu().double(),
            "agreement": (predictions == theirs).double().mean(1),
            "error_overlap": overlap(predictions != labels, theirs != labels).double(),
            "diversity": subjects.diversity,
            "disagreement": torch.full((len(rows),), torch.nan, dtype=torch.float64),
        }
        measured["disagreement"][whole] = disagreement(predictions[whole])
        for values in measured.values():
            values[~whole] = torch.nan
        for model, row in enumerate(rows):
            yield {
                "images": images.name,
                "split": "test",
                "classes": images.classes,
                "model": model,
                "finite": int(whole[model]),
                "novelty": distances[model],
                "nearest": self._name(row),
                **{name: float(values[model]) for name, values in measured.items()},
            }

    def _name(self, row: int) -> str:
        """A training model and its epoch."""
        shelf = self.neighbourhood.shelf
        return f"{shelf.models[row]}@{shelf.epochs[row]}"

    def _answers(self, images: ImageSet, rows: list[int]) -> Int[Tensor, "models images"]:
        """Predictions of training models, each made once; none for classes that they lack."""
        shelf = self.neighbourhood.shelf
        if not fits(shelf.architecture, images):
            return torch.full((len(rows), len(images.test.labels)), -1)
        known = self._known.setdefault(images.name, {})
        if missing := sorted(set(rows) - known.keys()):
            stored = stored_models(shelf, np.array(missing)).to(self.device)
            outcome = evaluate(stored, images.test, self.workers)
            known.update(zip(missing, outcome.predictions.cpu(), strict=True))
        return torch.stack([known[row] for row in rows])


def fits(architecture: Architecture, images: ImageSet) -> bool:
    """Whether networks of this architecture can be run on these images and have their classes."""
    return takes(architecture, images) and images.classes == architecture.classes


def takes(architecture: Architecture, images: ImageSet) -> bool:
    """Whether networks of this architecture can be run on images of this shape."""
    return tuple(images.test.images.shape[1:]) == architecture.input_shape
