"""Tasks on all cores: processes that Ctrl-C does not reach, and that an exception ends."""

import signal
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from joblib import Parallel


@contextmanager
def running(tasks: Iterable[Any], workers: int, ordered: bool = True) -> Iterator[Iterator[Any]]:
    """Start tasks; leaving the block before all are done ends their processes at once.

    In a terminal Ctrl-C is sent to every process. These ignore it, and so do not print a traceback
    each; the one that waits for them is interrupted, and leaves the block.

    Args:
        tasks: of `joblib.delayed`.
        workers: processes; 1 works in this one, -1 takes every core.
        ordered: whether results come in the order of the tasks, or as they are done.

    Yields:
        The results.
    """
    results = Parallel(
        workers,
        return_as="generator" if ordered else "generator_unordered",
        batch_size=1,
        initializer=signal.signal,
        initargs=(signal.SIGINT, signal.SIG_IGN),
    )(tasks)
    try:
        yield results
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib's advice to those who leave early
            results.close()


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch with one thread inside, as many as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
