"""How much of its time training waits for windows of ResNet-18s, which it reads itself."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.inputs import RESNET18, RESNET18_TOKEN, records
from benchmarks.results import Measurement, Settings
from benchmarks.steps import SMALL, OneStep, Size
from benchmarks.timing import Spread
from mzsane.architectures import Architecture
from mzsane.data import WindowDataset
from mzsane.data.loader import Loader
from mzsane.stores import TokenStore, write_store

MODELS, STEPS = 8, 4


def run(settings: Settings) -> list[Measurement]:
    """The step of `benchmarks.step`, in both precisions, fed from a store without workers."""
    return [
        measure(SMALL, precision, settings, RESNET18, RESNET18_TOKEN)
        for precision in ("float32", "bf16-mixed")
    ]


def measure(
    size: Size, precision: str, settings: Settings, architecture: Architecture, d_token: int
) -> Measurement:
    """Share of a few steps' time, after one that is not counted."""
    with TemporaryDirectory() as scratch:
        store = Path(scratch) / "zoo.h5"
        zoo = records(architecture, MODELS, 1, settings.seed)
        write_store(store, zoo, name="zoo", size=d_token, align=False)
        data = WindowDataset({"zoo": TokenStore.open(store)}, size.window, settings.seed)
        step = OneStep(size, precision, device=settings.device, seed=settings.seed)
        on_gpu = torch.device(settings.device).type == "cuda"
        loader = Loader(data, size.batch, (1 + STEPS) * size.batch, pin=on_gpu)
        shares = [_share(loader, step) for _ in range(settings.few)]
    name = f"waiting for windows, step of {size.name}, {precision}"
    return Measurement(name, "% of time", Spread.of(shares))


def _share(loader: Loader, step: OneStep) -> float:
    """Of an epoch; the first batch warms up."""
    batches = iter(loader)
    _take(step, next(batches))
    start, waited = time.perf_counter(), loader.waited
    for batch in batches:
        _take(step, batch)
    return 100 * (loader.waited - waited) / (time.perf_counter() - start)


def _take(step: OneStep, batch: object) -> None:
    step.batch = step.system.transfer_batch_to_device(batch, torch.device(step.device), 0)
    step.take()
    if step.device != "cpu":
        torch.cuda.synchronize()
