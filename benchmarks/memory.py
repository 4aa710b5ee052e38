"""Peak memory of a piece of work, in a process of its own."""

import multiprocessing
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

STATUS = Path("/proc/self/status")


def peak_memory(work: Callable[..., Any], *arguments: Any) -> float:
    """Largest resident memory of a fresh interpreter that runs `work`, in GB.

    The interpreter and its libraries are part of it.

    Args:
        work: a function of a module, which a new process can import.
        arguments: its arguments, which can be pickled.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_run, work, arguments).result()


def _run(work: Callable[..., Any], arguments: tuple[Any, ...]) -> float:
    work(*arguments)
    return _peak() / 1e9


def _peak() -> int:
    """Bytes."""
    if STATUS.exists():
        # not getrusage, which on Linux counts the process that started this one
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
