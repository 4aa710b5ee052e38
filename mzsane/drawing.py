"""Draws models, decodes them and makes them ready, a few at a time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

    from mzsane.images import Split
    from mzsane.models import Sane
    from mzsane.populations import Population
    from mzsane.samples import Samples
    from mzsane.sampling import Anchors, Sampler, Selection
    from mzsane.sampling.selecting import Judge

TOGETHER = 2**24  # weights of the models that are decoded at a time
HEADS = 13  # purpose of the random draw, see docs/design.md


class Task(NamedTuple):
    """What is drawn from what, and how it is decoded.

    Attributes:
        model: the autoencoder; generated networks run on its device, too.
        anchors: around which is sampled.
        name: of the sampler.
        sampler: it.
        n: models.
        seed: of all draws.
        conditioning: images that running statistics are computed from; None leaves them.
        validation: images that a selection goes by; None where nothing is selected.
        window: `window`, `halo` and `precision` of decoding.
        workers: processes.
    """

    model: "Sane"
    anchors: "Anchors"
    name: str
    sampler: "Sampler | Selection"
    n: int
    seed: int
    conditioning: "Split | None"
    validation: "Split | None"
    window: dict[str, Any]
    workers: int


def drawn(task: Task, samples: "Samples") -> "Iterator[tuple[int, Population]]":
    """The models a few at a time, with the number of the first; what is written is skipped.

    Args:
        task: says all that decides them.
        samples: what is written already, and what a selection found.
    """
    from mzsane.evaluation.streams import stream_of, torch_generator
    from mzsane.sampling import decode_models, select
    from mzsane.sampling.sampler import draw

    model, anchors, n = task.model, task.anchors, task.n
    kind = anchors.architecture or anchors.layout
    names = (anchors.source, kind.fingerprint, task.name)
    generator = torch_generator(stream_of(task.seed, *names))
    if selects(task.sampler):
        judge = _judge(task)
        selected = select(model, anchors, task.sampler, judge, generator, **task.window)
        samples.scored(selected.scores.tolist(), selected.broken)
        parts = iter(selected.latents[:n].split(_together(anchors)))
    else:
        one = task.sampler.fit(anchors.latents, anchors.layers)
        parts = (
            draw(one, anchors.latents, min(_together(anchors), n - first), generator)
            for first in range(0, n, _together(anchors))
        )
    first = 0
    for latents in parts:
        if not samples.has(first, len(latents)):
            population = decode_models(model, latents, anchors, **task.window)
            yield first, _conditioned(population, task)
        first += len(latents)


def selects(sampler: "Sampler | Selection") -> bool:
    """Whether it keeps the best of what it draws."""
    from mzsane.sampling import Selection

    return isinstance(sampler, Selection)


def _judge(task: Task) -> "Judge":
    from mzsane.evaluation import OnValidation

    return OnValidation(task.validation, task.conditioning, task.workers, _device(task))


def _device(task: Task) -> "torch.device":
    return next(task.model.parameters()).device


def _together(anchors: "Anchors") -> int:
    return max(1, TOGETHER // anchors.layout.parameters)


def _conditioned(population: "Population", task: Task) -> "Population":
    from mzsane.populations import condition

    if task.conditioning is None:
        return population
    return condition(population.to(_device(task)), task.conditioning, workers=task.workers)


def with_classes(
    population: "Population", classes: int | None, seed: int, first: int
) -> "Population":
    """With a new classifier, whose weights are a function of the seed and the model's number."""
    import numpy as np

    from mzsane.populations import renew_head

    if classes is None:
        return population
    numbers = range(first, first + len(population))
    rngs = (np.random.default_rng([seed, HEADS, number]) for number in numbers)
    return renew_head(population, classes, [int(rng.integers(2**31)) for rng in rngs])
