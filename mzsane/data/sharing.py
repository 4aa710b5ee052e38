"""A fixed list of windows, divided among processes."""

from collections.abc import Sequence

import torch
from torch.utils.data import Dataset

from mzsane.data.batch import Batch


class Share(Dataset[Batch]):
    """One process's windows: every `world_size`-th of a list, as many for each process.

    Where the list does not come out even, the first windows are shown once more, for all processes
    must take the same steps; but then none of their entries is marked as a weight, so that sums
    over weights are those of the list; the contrast of validation leaves such windows out.

    Args:
        windows: the list; a `Subset` or a `Windows`, which make whole batches.
        rank: of this process, below `world_size`.
        world_size: number of processes.
    """

    def __init__(self, windows: Dataset[Batch], rank: int = 0, world_size: int = 1) -> None:
        self._windows, self._count = windows, len(windows)
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        """Windows of each process."""
        return -(-self._count // self._world_size)

    def __getitems__(self, numbers: Sequence[int]) -> Batch:
        """The batch of these of its windows."""
        places = [number * self._world_size + self._rank for number in numbers]
        batch = self._windows.__getitems__([place % self._count for place in places])
        is_first = torch.tensor([place < self._count for place in places])
        return batch._replace(mask=batch.mask & is_first[:, None, None])
