"""Who does long work: this process while that is quickest, else others, here or on a cluster."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, TypeVar

from joblib import delayed, effective_n_jobs, parallel_config

from mzsane.processes import one_thread, running

Task = TypeVar("Task")
Result = TypeVar("Result")

STARTING = 4.0  # seconds until joblib's processes have imported torch, on two cores


@dataclass(frozen=True)
class Crew:
    """Does tasks in order.

    Args:
        workers: processes; 1 works in this one, -1 takes every core, or all of a cluster.
        backend: of joblib. ``loky``, processes of this machine, are started only when they pay;
            any other, such as ``dask``, gets all tasks.
        scheduler: address of Dask's scheduler, ``tcp://host:8786``; None starts a cluster on this
            machine. Its workers must see the stores' folder under the same path.
    """

    workers: int = 1
    backend: str = "loky"
    scheduler: str | None = None

    def map(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Results in the order of the tasks; leaving early ends the processes.

        Args:
            work: can be sent to another process; runs with one thread.
            tasks: what it is called with.

        Raises:
            ValueError: a backend that joblib does not know, or whose library is missing.
        """
        done = 0
        if self.backend == "loky":
            quickest = float("inf")
            while done < len(tasks) and not self._pays(quickest, len(tasks) - done):
                started = perf_counter()
                result = _alone(work, tasks[done])
                quickest = min(quickest, perf_counter() - started)
                done += 1
                yield result
        if done < len(tasks):
            yield from self._together(work, tasks[done:])

    def split(self, count: int, largest: int) -> list[slice]:
        """`count` things in tasks of at most `largest`, several for every worker."""
        workers = effective_n_jobs(self.workers) if self.backend == "loky" else count
        size = min(max(count // (4 * workers), 1), largest)
        return [slice(first, first + size) for first in range(0, count, size)]

    def _pays(self, seconds: float, tasks: int) -> bool:
        """Whether other processes would be done sooner; unknown before the first task."""
        processes = min(effective_n_jobs(self.workers), tasks)
        known = seconds < float("inf") and processes > 1
        return known and seconds * tasks * (1 - 1 / processes) > STARTING

    def _together(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        calls = (delayed(_alone)(work, task) for task in tasks)
        with (
            _settings(self.backend, self.scheduler) as settings,
            running(calls, self.workers, backend=settings) as results,
        ):
            yield from results


@contextmanager
def _settings(backend: str, scheduler: str | None) -> Iterator[dict[str, Any] | None]:
    """Arguments of `joblib.parallel_config`, with Dask's client open; None for processes here."""
    if backend == "loky":
        yield None
        return
    if backend != "dask":
        try:
            with parallel_config(backend=backend):
                pass
        except ValueError as error:
            raise ValueError(f"parallel.backend={backend}: joblib has none such") from error
        yield {"backend": backend}
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(
            "parallel.backend=dask: distributed is missing; pip install 'mzsane[dask]'"
        ) from error
    try:
        client = Client(scheduler, set_as_default=False)
    except OSError as error:
        raise ValueError(
            f"parallel.scheduler={scheduler}: no Dask scheduler answers there ({error})"
        ) from error
    with client:
        yield {"backend": "dask", "client": client}


def _alone(work: Callable[[Task], Result], task: Task) -> Result:
    """With one thread, so that the result does not depend on who works."""
    with one_thread():
        return work(task)
