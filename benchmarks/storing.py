"""Prepare 60 small CNNs x 5 epochs, and 8 ResNet-18: read, align, write, and what that takes."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from benchmarks.alignment import plain_match
from benchmarks.inputs import CNN, RESNET18, records, save, state_of, symmetry_of
from benchmarks.memory import peak_memory
from benchmarks.results import Measurement, Settings
from benchmarks.timing import Spread, alternate
from benchmarks.tokens import plain_tokens
from mzsane.stores import write_store
from mzsane.tokens import Layout
from mzsane.zoos import read_trials

MODELS, EPOCHS, PERMUTATIONS = 60, 5, 5
LARGE = 8  # ResNet-18, one epoch each
PLAIN = f"one file a sample: {PERMUTATIONS} permuted copies, each with mask and positions"


def run(settings: Settings) -> list[Measurement]:
    """From checkpoint files to a store, in one process."""
    with TemporaryDirectory() as scratch:
        zoo, store, samples = (Path(scratch) / name for name in ("zoo", "zoo.h5", "samples"))
        save(zoo, records(CNN, MODELS, EPOCHS, settings.seed))
        times = alternate(
            lambda: _store(zoo, store),
            lambda: plain_store(zoo, samples, settings.seed),
            settings.few,
        )
        own, plain = (Spread.rate(spread, MODELS) for spread in times)
        before, ours, theirs = (_size(path) for path in (zoo, store, samples))
        raw = MODELS * EPOCHS * Layout.of(state_of(CNN, 0)).parameters * 4
        memory = [_one(peak_memory(_store, zoo, store)), _one(peak_memory(_idle))]
    name = f"prepare {MODELS} CNNs x {EPOCHS} epochs"
    large = _large(settings)
    relative = _one(ours / before), _one(theirs / before)
    return [
        Measurement(name, "networks/s", own, plain, 100, PLAIN),
        Measurement("size / checkpoint files", "x", *relative, 1.1),
        Measurement("size / weights as float32", "x", _one(ours / raw), _one(theirs / raw)),
        Measurement("peak memory", "GB", memory[0], None, 0.5, "with the interpreter's"),
        Measurement("of which the interpreter and libraries", "GB", memory[1]),
        *large,
    ]


def _large(settings: Settings) -> list[Measurement]:
    """The same of large networks, whose symmetry takes as long to prove as many are to align."""
    with TemporaryDirectory() as scratch:
        zoo, store = Path(scratch) / "zoo", Path(scratch) / "zoo.h5"
        save(zoo, records(RESNET18, LARGE, 1, settings.seed))
        started = time.perf_counter()
        _store(zoo, store)
        rate = LARGE / (time.perf_counter() - started)
        relative, memory = _size(store) / _size(zoo), peak_memory(_store, zoo, store)
    return [
        Measurement(f"prepare {LARGE} ResNet-18", "networks/s", _one(rate), None, 1),
        Measurement("its size / checkpoint files", "x", _one(relative), None, 1.1),
        Measurement("its peak memory", "GB", _one(memory), None, None, "with the interpreter's"),
    ]


def plain_store(zoo: Path, folder: Path, seed: int) -> None:
    """Align every checkpoint, then save permuted copies of its tokens."""
    folder.mkdir(exist_ok=True)
    symmetry, rng, reference = symmetry_of(CNN), np.random.default_rng(seed), None
    for number, path in enumerate(sorted(zoo.glob("*/checkpoint_*/checkpoints"))):
        state = torch.load(path)
        reference = reference or state
        aligned = symmetry.apply(state, plain_match(state, reference, symmetry))
        layout = Layout.of(aligned)
        for copy in range(PERMUTATIONS):
            tokens = plain_tokens(symmetry.apply(aligned, symmetry.random(rng)), layout)
            sample = {"tokens": tokens, "mask": layout.mask, "positions": layout.positions[:, :3]}
            torch.save(sample, folder / f"{number}_{copy}.pt")


def _store(zoo: Path, store: Path) -> None:
    write_store(store, read_trials(zoo), name="benchmark")


def _idle() -> None:
    """Nothing: what the imports of this module take."""
    time.sleep(0)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(file.stat().st_size for file in files)


def _one(value: float) -> Spread:
    """What is measured once."""
    return Spread.of([value])
