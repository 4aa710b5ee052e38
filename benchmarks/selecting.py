"""Select among streamed ResNet-18 candidates on validation images: time, and memory by number."""

import time
from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.inputs import RESNET18, RESNET18_TOKEN, state_of
from benchmarks.memory import peak_memory
from benchmarks.results import Measurement, Settings
from benchmarks.sampling import HALO, WINDOW, autoencoder, random_anchors
from benchmarks.timing import Spread
from mzsane.evaluation import OnValidation
from mzsane.images import Split
from mzsane.populations import Population
from mzsane.sampling import KDE, Selection, select
from mzsane.tokens import Layout

FEW, SURVIVORS = 4, 2
IMAGES = 32
PUBLISHED = 200  # candidates


def run(settings: Settings) -> list[Measurement]:
    """Seconds a candidate, and peak memory with few candidates and with many."""
    count = max(settings.candidates, FEW + 1)
    ends = [time.perf_counter()]
    selected(settings.seed, count, lambda: ends.append(time.perf_counter()))
    # the first is not counted: beside it all is made that selecting needs
    took = [end - start for start, end in pairwise(ends[1:])]
    ran = f"{count} candidates run; {PUBLISHED} as published: --candidates {PUBLISHED}"
    judged = f"drawn, decoded, conditioned and judged on {IMAGES} images; {ran}"
    each = Measurement("a candidate of a selection", "s", Spread.of(took), note=judged)
    return [each, *(_memory(number, settings.seed) for number in (FEW, count))]


def _memory(candidates: int, seed: int) -> Measurement:
    """That does not grow with candidates: whatever their number, the best are kept."""
    peak = Spread.of([peak_memory(selected, seed, candidates)])
    return Measurement(f"peak memory of selecting among {candidates}", "GB", peak, None, 1.5)


def selected(seed: int, candidates: int, after: Callable[[], None] | None = None) -> None:
    """A selection with all it needs, also for a process of its own.

    Args:
        seed: of inputs and draws.
        candidates: of its one round.
        after: called when a candidate has been judged.
    """
    layout = Layout.of(state_of(RESNET18, seed), RESNET18_TOKEN)
    on_images = OnValidation(*2 * [random_images(seed)])

    def judge(population: Population) -> Float[Tensor, " models"]:
        scores = on_images(population)
        if after:
            after()
        return scores

    selection = Selection(KDE("token"), candidates, SURVIVORS)
    generator = torch.Generator().manual_seed(seed)
    anchors = random_anchors(layout, seed)
    select(autoencoder(seed), anchors, selection, judge, generator, WINDOW, HALO)


def random_images(seed: int) -> Split:
    """Images and labels without meaning."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(IMAGES, *RESNET18.input_shape, generator=generator)
    return Split(images, torch.arange(IMAGES) % RESNET18.classes)
