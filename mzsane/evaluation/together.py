"""Work that the processes of a distributed run share, however long one of them takes."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple, TypeVar

import torch.distributed as dist

Part = TypeVar("Part")
_LONG = timedelta(days=365)
_GLANCE = 0.1  # seconds between looks at whether the others have come


class Share(NamedTuple):
    """Which of the tasks a process does: every `world`-th, from its rank on."""

    rank: int = 0
    world: int = 1

    def mine(self, number: int) -> bool:
        """Whether this process does the task of this number."""
        return number % self.world == self.rank


class Together:
    """The processes of a run, or this one alone.

    A collective of the processes that train gives up after their timeout, by default half an hour,
    and blocks signals meanwhile. These are of a group of its own, over the host's network, so they
    work beside any kind of device. All processes must make it together, and call each method.

    Args:
        group: that of the processes; None is this one alone.
    """

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self._group = group

    @classmethod
    def of_run(cls) -> "Together":
        """All processes of a distributed run; in any other, this one."""
        several = dist.is_available() and dist.is_initialized()
        return cls(dist.new_group(backend="gloo", timeout=_LONG) if several else None)

    def share(self, able: bool = True) -> Share | None:
        """What this process does, where only those that are able do anything.

        Raises:
            SystemExit: if one of them has ended; it has said why.
        """
        everyone = self._told(able)
        if not able:
            return None
        return Share(sum(everyone[: self._rank]), sum(everyone))

    def gather(self, work: Callable[[], list[Part]]) -> list[Part]:
        """What the work of all gives, in every process, in the order of their ranks.

        One that fails tells the others, so that none waits for it or goes on without it.

        Args:
            work: of this process.

        Raises:
            ValueError: the work of another process failed; the message is that of its exception.
            SystemExit: one of them has ended; it has said why.
        """
        done: list[Part] = []
        failure: Exception | None = None
        try:
            done = work()
        except Exception as error:  # raised again, once the others have been told
            failure = error
        told = self._told((done, failure and f"{failure}"))
        if failure is not None:
            raise failure
        for rank, (_, reason) in enumerate(told):
            if reason is not None:
                raise ValueError(f"process {rank} could not evaluate: {reason}")
        return [part for parts, _ in told for part in parts]

    @property
    def _rank(self) -> int:
        return dist.get_rank(self._group) if self._group else 0

    def _told(self, word: Part) -> list[Part]:
        """What every process says."""
        if self._group is None:
            return [word]
        self._wait()
        words: list[Part] = [word] * dist.get_world_size(self._group)
        dist.all_gather_object(words, word, group=self._group)
        return words

    def _wait(self) -> None:
        """Return when all processes have come; signals are heard meanwhile."""
        barrier = dist.barrier(self._group, async_op=True)
        while not barrier.is_completed():
            time.sleep(_GLANCE)
        try:
            barrier.wait()
        except RuntimeError as gone:  # the connection was closed
            raise SystemExit(1) from gone
