"""Models after some training on the images, with the head they have or a new one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mzsane.architectures import Architecture
from mzsane.evaluation.judging import Judge, takes
from mzsane.evaluation.methods import Method
from mzsane.evaluation.moments import fitting, in_groups
from mzsane.evaluation.protocols.protocol import Protocol
from mzsane.evaluation.streams import Stream
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet
from mzsane.populations import Population, Recipe, finetune, renew_head, steps_an_epoch


@dataclass(frozen=True)
class Finetuned(Protocol):
    """Training on train images, and the accuracy on test images on the way.

    Every method has the same budget, and its i-th model sees images in the same order as the i-th
    of any other. Running statistics start as in `ZeroShot` and then follow the training.

    Args:
        recipe: optimizer, rate, batch size, and after how many epochs it ends.
        steps: after which to test, ascending, in place of after every epoch; 0 is before training.
        together: models that are trained before their weights at all moments go to temporary
            files, which bounds memory; None takes as many as these weights fit in
            `mzsane.evaluation.moments.MEMORY`. Results do not depend on it, but for what dropout
            draws on a GPU.

    Raises:
        ValueError: `steps` are not ascending numbers, or no model is trained at a time.
    """

    recipe: Recipe
    steps: Sequence[int] | None = None
    together: int | None = None

    def __post_init__(self) -> None:
        """Refuse steps that cannot be made one after the other."""
        if self.steps is not None and (
            not self.steps or self.steps[0] < 0 or any(a >= b for a, b in pairwise(self.steps))
        ):
            raise ValueError(
                f"protocol.steps={list(self.steps)}: give ascending numbers of steps, for example "
                "[0,10,100]"
            )
        if self.together is not None and self.together < 1:
            raise ValueError(f"protocol.together={self.together}: train 1 model or more at a time")

    def tested(self, images: int) -> dict[float, int]:
        """Steps after which models are tested, by epochs of this many images."""
        each = steps_an_epoch(self.recipe, images)
        after = self.steps or [each * epoch for epoch in range(self.recipe.epochs + 1)]
        return {step / each: step for step in after}

    def rows(
        self, method: Method, subjects: Subjects, images: ImageSet, judge: Judge, stream: Stream
    ) -> Iterator[Row]:
        """One row a model and moment; what is said of its weights is said of those it has then."""
        ready = judge.ready(method, subjects.population, images)
        for epochs, moment in self._moments(ready, images, judge, stream):
            now = subjects if epochs == 0 else Subjects(moment, subjects.neighbourhood)
            for row in judge.rows(now, moment, images):
                yield row | {"epochs": epochs, "members": 1}

    def _moments(
        self, ready: Population, images: ImageSet, judge: Judge, stream: Stream
    ) -> Iterator[tuple[float, Population]]:
        """The models after some epochs; see `in_groups` for where they are until then."""
        tested = self.tested(len(images.train.images))
        seeds = stream("order of images").integers(2**31, size=len(ready)).tolist()

        def train(some: slice) -> list[Population]:
            after = list(tested.values())
            split, workers = images.train, judge.workers
            return finetune(ready[some], split, self.recipe, seeds[some], after, workers)

        together = self.together or fitting(ready, len(tested))
        moments = in_groups(train, len(ready), together)
        for epochs, moment in zip(tested, moments, strict=True):
            yield epochs, moment.to(judge.device)


@dataclass(frozen=True)
class Transfer(Finetuned):
    """Fine-tuning with a new head, which makes models fit any number of classes.

    The head is `mzsane.populations.renew_head`'s; the i-th model of every method begins with the
    same one. It also replaces a head of the right size, whose classes need not mean the same.
    What is said of weights is said of the models as they were drawn, because no training model has
    such a head; agreement with those is not measured.
    """

    def suits(self, architecture: Architecture, images: ImageSet) -> bool:
        """On images of the networks' shape."""
        return takes(architecture, images)

    def rows(
        self, method: Method, subjects: Subjects, images: ImageSet, judge: Judge, stream: Stream
    ) -> Iterator[Row]:
        """One row a model and moment."""
        seeds = stream("heads").integers(2**31, size=len(subjects.population)).tolist()
        renewed = renew_head(subjects.population, images.classes, seeds)
        ready = judge.ready(method, renewed, images)
        unknown = {"agreement": float("nan"), "error_overlap": float("nan")}
        for epochs, moment in self._moments(ready, images, judge, stream):
            for row in judge.rows(subjects, moment, images):
                yield row | unknown | {"epochs": epochs, "members": 1}
