"""Waiting of the other processes for what the first one does alone."""

import time
from datetime import timedelta

import torch.distributed as dist

_LONG = timedelta(days=365)
_GLANCE = 0.1  # seconds between looks at whether the first process has come


class Gate:
    """Opens once all processes have come, however long one of them takes.

    A barrier of the processes that train gives up after their timeout, by default half an hour,
    and blocks signals meanwhile. This one is of a group of its own, over the host's network, so it
    works beside any kind of device. All processes must make it together.
    """

    def __init__(self) -> None:
        several = dist.is_available() and dist.is_initialized()
        self._group = dist.new_group(backend="gloo", timeout=_LONG) if several else None

    def wait(self) -> None:
        """Return when all processes have called this.

        Raises:
            SystemExit: if one of them has ended; it has said why.
        """
        if self._group is None:
            return
        barrier = dist.barrier(self._group, async_op=True)
        while not barrier.is_completed():
            time.sleep(_GLANCE)
        try:
            barrier.wait()
        except RuntimeError as gone:  # the connection was closed
            raise SystemExit(1) from gone
