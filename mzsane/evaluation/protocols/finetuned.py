"""Models after some training on the images, with the head they have or a new one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mzsane.architectures import Architecture
from mzsane.evaluation.judging import Judge, fits, takes
from mzsane.evaluation.methods import Method
from mzsane.evaluation.streams import Stream
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet
from mzsane.populations import Population, Recipe, finetune, renew_head, steps_an_epoch


@dataclass(frozen=True)
class Finetuned:
    """Training on train images, and the accuracy on test images on the way.

    Every method has the same budget, and its i-th model sees images in the same order as the i-th
    of any other. Running statistics start as in `ZeroShot` and then follow the training.

    Args:
        recipe: optimizer, rate, batch size, and after how many epochs it ends.
        steps: after which to test, ascending, in place of after every epoch; 0 is before training.

    Raises:
        ValueError: `steps` are not ascending numbers.
    """

    recipe: Recipe
    steps: Sequence[int] | None = None

    def __post_init__(self) -> None:
        """Refuse steps that cannot be made one after the other."""
        if self.steps is not None and (
            not self.steps or self.steps[0] < 0 or any(a >= b for a, b in pairwise(self.steps))
        ):
            raise ValueError(
                f"protocol.steps={list(self.steps)}: give ascending numbers of steps, for example "
                "[0,10,100]"
            )

    def suits(self, architecture: Architecture, images: ImageSet) -> bool:
        """On images of the networks' shape and number of classes."""
        return fits(architecture, images)

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
        """The models after some epochs; all moments are held in the host's memory."""
        each = steps_an_epoch(self.recipe, len(images.train.images))
        after = self.steps or [each * epoch for epoch in range(self.recipe.epochs + 1)]
        seeds = stream("order of images").integers(2**31, size=len(ready)).tolist()
        moments = finetune(ready, images.train, self.recipe, seeds, after, judge.workers)
        for step, moment in zip(after, moments, strict=True):
            yield step / each, moment.to(judge.device)


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
