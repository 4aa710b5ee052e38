"""Files that a reader sees whole or not at all, and that one process writes at a time."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`, which is made; rename it if nothing failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def taking_turns(lock: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file, in a folder that exists; `waiting` is called if another process has it.

    The system opens the lock of a process that dies.
    """
    file = FileLock(lock)
    try:
        held = file.acquire(timeout=0)
    except Timeout:
        waiting()
        held = file.acquire()
    with held:
        yield
