"""From models and what they answer to rows of the results table."""

import logging
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.evaluation.conditioning import statistics_from
from mzsane.evaluation.distances import disagreement, overlap
from mzsane.evaluation.methods import Method
from mzsane.evaluation.novelty import Neighbourhood
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet
from mzsane.populations import Outcome, Population, condition, evaluate
from mzsane.sampling import Conditioning, mend, stored_models

LOG = logging.getLogger(__name__)


class Judge:
    """Evaluates models of one architecture, and compares them with its training models.

    Image splits have fixed roles: running statistics are computed from *validation* images, or
    from *train* images by choice, models are fine-tuned on *train* images, everything reported is
    measured on *test* images.

    Args:
        neighbourhood: the training models.
        workers: processes of `mzsane.populations.evaluate`; -1 takes every core.
        device: where models run.
        conditioning: where running statistics come from.
    """

    def __init__(
        self,
        neighbourhood: Neighbourhood,
        workers: int,
        device: torch.device,
        conditioning: Conditioning = "validation",
    ) -> None:
        self.neighbourhood, self.workers, self.device = neighbourhood, workers, device
        self._conditioning = conditioning
        self._known: dict[str, dict[int, Tensor]] = {}

    def subjects(self, method: Method, population: Population) -> Subjects:
        """Models as a method made them; decoded variances that will be used are mended."""
        if not method.decoded or self._conditioning not in ("decoded", "none"):
            return Subjects(population, self.neighbourhood)
        whole, mended = mend(population, self.neighbourhood.shelf.layout)
        if mended.any():
            LOG.warning(
                "%s: %d running variances of %d models were decoded to zero or less; a hundredth "
                "of the mean of their layer stands for each",
                *(method.name, int(mended.sum()), int((mended > 0).sum())),
            )
        return Subjects(whole, self.neighbourhood, mended)

    def ready(self, method: Method, population: Population, images: ImageSet) -> Population:
        """Models with the running statistics they run with, on the device; the zoo's have theirs.

        Args:
            method: that made them.
            population: theirs, as in `subjects`.
            images: from which statistics are computed that are not decoded.
        """
        population = population.to(self.device)
        split = statistics_from(self._conditioning, images, method.decoded)
        if method.kind == "zoo" or split is None:
            return population
        return condition(population, split, workers=self.workers)

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
        whole = subjects.finite & outcome.loss.isfinite().cpu()
        rows, distances = subjects.novelty.row.tolist(), subjects.novelty.distance.tolist()
        measured = self._measured(subjects, outcome, images, whole)
        mended = [0] * len(rows) if subjects.mended is None else subjects.mended.tolist()
        for model, row in enumerate(rows):
            yield {
                "images": images.name,
                "split": "test",
                "classes": images.classes,
                "model": model,
                "finite": int(whole[model]),
                "mended": mended[model],
                "novelty": distances[model],
                "nearest": self._name(row),
                **{name: float(values[model]) for name, values in measured.items()},
            }

    def _measured(
        self, subjects: Subjects, outcome: Outcome, images: ImageSet, whole: Bool[Tensor, " models"]
    ) -> dict[str, Float[Tensor, " models"]]:
        """What test images and other models tell, by column; NaN of models that are not whole."""
        predictions, labels = outcome.predictions.cpu(), images.test.labels.cpu()
        theirs = self._answers(images, subjects.novelty.row.tolist())
        measured = {
            "accuracy": outcome.accuracy.cpu().double(),
            "loss": outcome.loss.cpu().double(),
            "agreement": (predictions == theirs).double().mean(1),
            "error_overlap": overlap(predictions != labels, theirs != labels).double(),
            "diversity": subjects.diversity,
            "disagreement": torch.full((len(whole),), torch.nan, dtype=torch.float64),
        }
        measured["disagreement"][whole] = disagreement(predictions[whole])
        for values in measured.values():
            values[~whole] = torch.nan
        return measured

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
