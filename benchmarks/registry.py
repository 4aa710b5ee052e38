"""The benchmarks by name."""

import inspect
from collections.abc import Callable

from benchmarks import (
    alignment,
    losses,
    sampling,
    selecting,
    startup,
    step,
    storing,
    tokens,
    waiting,
    windows,
)
from benchmarks.results import Measurement, Settings

Benchmark = Callable[[Settings], list[Measurement]]

BENCHMARKS: dict[str, Benchmark] = {
    "tokens": tokens.run,
    "alignment": alignment.run,
    "storing": storing.run,
    "windows": windows.run,
    "losses": losses.run,
    "step": step.run,
    "waiting": waiting.run,
    "startup": startup.run,
    "sampling": sampling.run,
    "selecting": selecting.run,
}


def described(benchmark: Benchmark) -> str:
    """The first line about the module that it stands in."""
    return (inspect.getmodule(benchmark).__doc__ or "").partition("\n")[0]
