"""Models after their latents have been refined."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mzsane.evaluation.judging import Judge
from mzsane.evaluation.methods import Method, Refinement
from mzsane.evaluation.protocols.finetuned import Finetuned
from mzsane.evaluation.protocols.protocol import Protocol
from mzsane.evaluation.streams import Stream
from mzsane.evaluation.subjects import Subjects
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet
from mzsane.populations import Recipe, steps_an_epoch


@dataclass(frozen=True)
class Refined(Protocol):
    """Gradient steps on latents, through the decoder and the networks' loss on train images.

    With the recipe of `Finetuned` a model makes as many steps on as many images as there; see
    `mzsane.sampling.refine` for what a step costs beyond that. Only methods that draw latents take
    part: samplers and the reconstructed anchors. A study fine-tunes the same models beside it, see
    `with_twins`.

    Args:
        recipe: its epochs and batch size are the budget; the optimizer is Adam.
        lr: size of a step, in units of latents.

    Raises:
        ValueError: `lr` is not positive.
    """

    recipe: Recipe
    lr: float = 1e-2

    def __post_init__(self) -> None:
        """Refuse steps that lead nowhere."""
        if self.lr <= 0:
            raise ValueError(f"protocol.lr={self.lr}: give more than 0")

    def rows(
        self, method: Method, subjects: Subjects, images: ImageSet, judge: Judge, stream: Stream
    ) -> Iterator[Row]:
        """One row a model, before and after."""
        if method.refined is None:
            return
        recipe = self.recipe
        steps = recipe.epochs * steps_an_epoch(recipe, len(images.train.images))
        population = method.refined(images, Refinement(steps, self.lr, recipe.batch_size))
        after = judge.subjects(method, population)
        for epochs, now in ((0.0, subjects), (float(recipe.epochs), after)):
            ready = judge.ready(method, now.population, images)
            for row in judge.rows(now, ready, images):
                yield row | {"epochs": epochs, "members": 1}


@dataclass(frozen=True)
class Twin(Finetuned):
    """Fine-tuning of the models that `Refined` refines, and of no others."""

    def rows(
        self, method: Method, subjects: Subjects, images: ImageSet, judge: Judge, stream: Stream
    ) -> Iterator[Row]:
        """As of `Finetuned`."""
        if method.refined is not None:
            yield from super().rows(method, subjects, images, judge, stream)


def with_twins(protocols: Mapping[str, Protocol]) -> dict[str, Protocol]:
    """Protocols, and beside each refinement as much fine-tuning of the same models.

    That is the protocol ``finetuned`` if its recipe is the same and it tests where that ends, or
    else one more, ``<name>_twin``.
    """
    beside = dict(protocols)
    tuned = protocols.get("finetuned")
    for name, protocol in protocols.items():
        if isinstance(protocol, Refined) and not _as_much(tuned, protocol):
            beside[f"{name}_twin"] = Twin(protocol.recipe)
    return beside


def _as_much(tuned: Protocol | None, refined: Refined) -> bool:
    same = type(tuned) is Finetuned and tuned.recipe == refined.recipe
    return same and tuned.steps is None
