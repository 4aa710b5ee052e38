"""Training samples a second, in process: two views, a fresh permutation for each."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.inputs import CNN3, RESNET18, RESNET18_TOKEN, records, symmetry_of
from benchmarks.results import Measurement, Settings
from benchmarks.timing import alternate
from mzsane.architectures import Architecture
from mzsane.data import WindowDataset
from mzsane.stores import TokenStore, write_store
from mzsane.tokens import Layout

BATCH = 64
PLAIN = "one file a model: load, permute and tokenise all of it, cut the window out of both views"


class Case(NamedTuple):
    """Models, their windows, and how many samples of the reference are timed at once."""

    name: str
    architecture: Architecture
    models: int
    size: int
    window: int
    plain_samples: int
    target: float


CASES = (
    Case("CNN of 10,853 weights, window 64 of 289", CNN3, 60, 289, 64, BATCH, 5000),
    Case("ResNet-18, window 256 of 288", RESNET18, 8, RESNET18_TOKEN, 256, 2, 2000),
)


def run(settings: Settings) -> list[Measurement]:
    """Batches of 64, noise excluded: it is drawn on the device, in the step."""
    return [_measure(case, settings) for case in CASES]


def _measure(case: Case, settings: Settings) -> Measurement:
    with TemporaryDirectory() as scratch:
        store = Path(scratch) / "zoo.h5"
        zoo = records(case.architecture, case.models, 1, settings.seed)
        write_store(store, zoo, name="zoo", size=case.size, align=False)
        data = WindowDataset({"zoo": TokenStore.open(store)}, case.window, settings.seed)
        plain = Plain(Path(scratch), case, settings.seed)
        own, theirs = alternate(
            lambda: data.__getitems__(range(BATCH)),
            lambda: [plain.sample() for _ in range(case.plain_samples)],
            settings.repeats,
        )
    rates = own.rate(BATCH), theirs.rate(case.plain_samples)
    return Measurement(f"samples of a {case.name}", "samples/s", *rates, case.target, PLAIN)


class Plain:
    """A data set as one would write it first."""

    def __init__(self, folder: Path, case: Case, seed: int) -> None:
        self.window, self.files = case.window, []
        self.symmetry, self.rng = symmetry_of(case.architecture), np.random.default_rng(seed)
        for record in records(case.architecture, case.models, 1, seed):
            self.files.append(folder / f"{record.model}.pt")
            torch.save(record.load(), self.files[-1])
        self.layout = Layout.of(record.load(), case.size)

    def sample(self) -> tuple[torch.Tensor, ...]:
        """Values of two views, mask and positions."""
        state = torch.load(self.files[self.rng.integers(len(self.files))])
        permuted = self.symmetry.apply(state, self.symmetry.random(self.rng))
        start = int(self.rng.integers(self.layout.num_tokens - self.window + 1))
        span = slice(start, start + self.window)
        views = [self.layout.tokenize(view)[span] for view in (state, permuted)]
        return torch.stack(views), self.layout.mask[span], self.layout.positions[span]
