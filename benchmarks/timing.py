"""Repeated timing: warm up, run, take the median."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

Work = Callable[[], Any]


class Spread(NamedTuple):
    """What repeats gave: their median and their extremes."""

    median: float
    min: float
    max: float
    repeats: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def rate(self, amount: float) -> "Spread":
        """`amount` of work per unit of time; the slowest repeat gives the smallest rate."""
        return Spread(amount / self.median, amount / self.max, amount / self.min, self.repeats)

    def times(self, factor: float) -> "Spread":
        """In another unit."""
        return Spread(self.median * factor, self.min * factor, self.max * factor, self.repeats)


def seconds(work: Work, repeats: int, warmup: int = 1) -> Spread:
    """Seconds that `work` takes, after `warmup` runs that do not count."""
    for _ in range(warmup):
        work()
    return Spread.of([_once(work) for _ in range(repeats)])


def alternate(first: Work, second: Work, repeats: int) -> tuple[Spread, Spread]:
    """Seconds of two works run in turn, so that whatever else the machine does meets both."""
    first()
    second()
    pairs = [(_once(first), _once(second)) for _ in range(repeats)]
    return Spread.of([pair[0] for pair in pairs]), Spread.of([pair[1] for pair in pairs])


def _once(work: Work) -> float:
    _wait()
    start = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    """A GPU works on after its calls have returned."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
