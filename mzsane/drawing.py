"""Draws models, decodes them and makes them ready, a few at a time."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import torch

    from mzsane.evaluation import Ledger
    from mzsane.images import Split
    from mzsane.models import Sane
    from mzsane.populations import Population
    from mzsane.progress import Progress
    from mzsane.samples import Samples
    from mzsane.sampling import Anchors, Mended, Sampler, Selected, Selection

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


def drawn(
    task: Task, samples: "Samples", ledger: "Ledger", progress: "Progress"
) -> "Iterator[tuple[int, Mended]]":
    """The models a few at a time, with the number of the first; what is written is skipped.

    Args:
        task: says all that decides them.
        samples: what is written already, and what a selection found.
        ledger: keeps what a selection found, for when it is interrupted.
        progress: is told how many models are done.
    """
    from mzsane.sampling import decode_models

    first = 0
    for latents in _latents(task, samples, ledger, progress):
        if not samples.has(first, len(latents)):
            population = decode_models(task.model, latents, task.anchors, **task.window)
            yield first, _conditioned(population, task)
        first += len(latents)
        progress("sampling", first, task.n)


def _latents(
    task: Task, samples: "Samples", ledger: "Ledger", progress: "Progress"
) -> "Iterator[torch.Tensor]":
    """Of the models, a few at a time."""
    from mzsane.evaluation.streams import stream_of, torch_generator
    from mzsane.sampling.sampler import draw

    anchors, together = task.anchors, _together(task.anchors)
    kind = anchors.architecture or anchors.layout
    names = (anchors.source, kind.fingerprint, task.name)
    generator = torch_generator(stream_of(task.seed, *names))
    if selects(task.sampler):
        selected = ledger.selected(names, lambda: _selected(task, generator, progress))
        samples.scored(selected.scores.tolist(), selected.broken)
        yield from selected.latents[: task.n].split(together)
        return
    one = task.sampler.fit(anchors.latents, anchors.layers)
    for first in range(0, task.n, together):
        yield draw(one, anchors.latents, min(together, task.n - first), generator)


def selects(sampler: "Sampler | Selection") -> bool:
    """Whether it keeps the best of what it draws."""
    from mzsane.sampling import Selection

    return isinstance(sampler, Selection)


def _selected(task: Task, generator: "torch.Generator", progress: "Progress") -> "Selected":
    """The best candidates; the bar leaves out broken ones, which are not judged, until the end."""
    from mzsane.evaluation import OnValidation
    from mzsane.sampling import select

    judge = OnValidation(task.validation, task.conditioning, task.workers, _device(task))
    total, judged = task.sampler.candidates * task.sampler.rounds, 0

    def counted(population: "Population") -> "torch.Tensor":
        nonlocal judged
        scores = judge(population)
        judged += len(population)
        progress("selecting", judged, total)
        return scores

    found = select(task.model, task.anchors, task.sampler, counted, generator, **task.window)
    progress("selecting", total, total)
    return found


def _device(task: Task) -> "torch.device":
    return next(task.model.parameters()).device


def _together(anchors: "Anchors") -> int:
    return max(1, TOGETHER // anchors.layout.parameters)


def _conditioned(population: "Population", task: Task) -> "Mended":
    """With statistics of images, or with those that were decoded, made positive."""
    import torch

    from mzsane.populations import condition
    from mzsane.sampling import Mended, mend

    if task.conditioning is None:
        return mend(population, task.anchors.layout)
    ready = condition(population.to(_device(task)), task.conditioning, workers=task.workers)
    return Mended(ready, torch.zeros(len(ready), dtype=torch.long))


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
