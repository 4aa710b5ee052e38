"""One step of pretraining: noise, both transformers, loss, gradients, AdamW."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from benchmarks.memory import peak_memory
from benchmarks.results import Measurement, Settings
from benchmarks.steps import MIDDLE, SANE_BASE, SMALL, OneStep, Size
from benchmarks.timing import Spread, alternate, seconds
from mzsane.callbacks.arithmetic import flops_per_token, peak_flops

PLAIN = "torch's TransformerEncoder for both transformers; loss, noise and optimiser the same"
TARGETS = {
    SMALL: {"float32": 3500.0, "bf16-mixed": 5000.0},
    MIDDLE: {"float32": 730.0, "bf16-mixed": 1000.0},
}
MEMORY = {SMALL: 1.0}
"""GB; the interpreter and its libraries are part of it."""
AGAIN = "blocks computed again"
BATCHES = (32, 128, 512)
WAYS: Mapping[str, dict[str, bool]] = {
    "": {},
    ", compiled": {"compile": True},
    f", {AGAIN}": {"checkpointing": True},
}


def run(settings: Settings) -> list[Measurement]:
    """Tokens a second, those of both views counted, and memory; on a GPU also utilisation."""
    if settings.device != "cpu":
        return on_gpu(settings)
    measured = []
    for size, targets in TARGETS.items():
        for precision, target in targets.items():
            measured += on_cpu(size, precision, target, settings)
    return measured


def on_cpu(size: Size, precision: str, target: float, settings: Settings) -> list[Measurement]:
    """A step and the same with torch's own blocks, in turn; memory of a few steps of each."""
    ways = (OneStep(size, precision, plain, seed=settings.seed).take for plain in (False, True))
    own, plain = (spread.rate(size.tokens) for spread in alternate(*ways, settings.repeats))
    memory = [Spread.of([peak_memory(_steps, size, precision, plain)]) for plain in (False, True)]
    again = Spread.of([peak_memory(_steps, size, precision, False, True)])
    name = f"step of {size.name}, {precision}"
    return [
        Measurement(name, "tokens/s", own, plain, target, PLAIN),
        Measurement(f"its peak memory, {size.name}, {precision}", "GB", *memory, MEMORY.get(size)),
        Measurement(f"that with {AGAIN}", "GB", again, None, MEMORY.get(size)),
    ]


def on_gpu(
    settings: Settings,
    size: Size = SANE_BASE,
    batches: Sequence[int] = BATCHES,
    ways: Mapping[str, dict[str, bool]] = WAYS,
) -> list[Measurement]:
    """Steps in bf16-mixed as they are, compiled, and with blocks computed again; what fits."""
    measured = []
    for batch in batches:
        for way, options in ways.items():
            name = f"step of {size.name}, bf16-mixed, batch {batch}{way}"
            try:
                measured += _on_gpu(name, size._replace(batch=batch), options, settings)
            except torch.OutOfMemoryError:
                print(f"{name}: does not fit into the device's memory", flush=True)
    return measured


def _on_gpu(
    name: str, size: Size, options: dict[str, Any], settings: Settings
) -> list[Measurement]:
    device = torch.device(settings.device)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    step = OneStep(size, "bf16-mixed", device=settings.device, seed=settings.seed, **options)
    rate = seconds(step.take, settings.repeats, warmup=3).rate(size.tokens)
    measured = [Measurement(name, "tokens/s", rate)]
    if peak := peak_flops(device):
        share = rate.times(100 * flops_per_token(step.system.model, size.window) / peak)
        measured.append(Measurement(f"utilisation, {name}", "% of peak", share, target=50.0))
    if device.type == "cuda":
        memory = Spread.of([torch.cuda.max_memory_allocated(device) / 1e9])
        measured.append(Measurement(f"peak memory, {name}", "GB", memory))
    return measured


def _steps(size: Size, precision: str, plain: bool, checkpointing: bool = False) -> None:
    """What memory is measured of."""
    step = OneStep(size, precision, plain, checkpointing=checkpointing)
    for _ in range(3):
        step.take()
