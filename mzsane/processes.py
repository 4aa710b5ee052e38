"""Tasks on all cores: processes that Ctrl-C does not reach, and that an exception ends."""

import signal
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from joblib import Parallel, parallel_config


@contextmanager
def running(
    tasks: Iterable[Any],
    workers: int,
    ordered: bool = True,
    backend: Mapping[str, Any] | None = None,
) -> Iterator[Iterator[Any]]:
    """Start tasks; leaving the block before all are done ends their processes at once.

    In a terminal Ctrl-C is sent to every process. These ignore it, and so do not print a traceback
    each; the one that waits for them is interrupted, and leaves the block.

    Args:
        tasks: of `joblib.delayed`.
        workers: processes; 1 works in this one, -1 takes every core.
        ordered: whether results come in the order of the tasks, or as they are done.
        backend: arguments of `joblib.parallel_config`; None starts processes on this machine.

    Yields:
        The results.
    """
    deaf = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
    with parallel_config(**(backend or {"backend": "loky"})):
        results = Parallel(
            workers,
            return_as="generator" if ordered else "generator_unordered",
            batch_size=1,
            **({} if backend else deaf),
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
