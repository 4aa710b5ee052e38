"""Batches whose place in the stream of samples is explicit."""

import time
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from mzsane.data.batch import Batch
from mzsane.data.dataset import WindowDataset


class Loader:
    """Samples 0, 1, 2, ... in batches; training can stop and go on anywhere in between.

    The stream of samples is a function of the data set's seed alone. A batch is a range of it, and
    each rank reads its share of that range, so the union over ranks is the same at any world size,
    and the number of worker processes changes nothing. An epoch is `samples_per_epoch` samples,
    rounded down to whole batches; the next one begins where it ended.

    `state_dict` counts a batch as seen once it has been handed out. After `load_state_dict`, the
    first iteration is the rest of the interrupted epoch. An iteration that is broken off ends its
    epoch, as with torch's own loader. Iterators that were made and never read change nothing.

    Args:
        dataset: makes a batch of any list of sample numbers.
        batch_size: samples of a step, all ranks together.
        samples_per_epoch: at least `batch_size`.
        workers: processes that read ahead; 0 reads in this one.
        rank: of this process, below `world_size`.
        world_size: number of processes; divides `batch_size`.
        pin: hand batches out in memory from which a GPU can read while the host goes on.

    Attributes:
        waited: seconds that whoever iterates has waited for batches, in all.

    Raises:
        ValueError: if the batch size does not fit the epoch or the number of processes.
    """

    def __init__(
        self,
        dataset: WindowDataset,
        batch_size: int,
        samples_per_epoch: int,
        workers: int = 0,
        rank: int = 0,
        world_size: int = 1,
        pin: bool = False,
    ) -> None:
        check_batches(batch_size, samples_per_epoch, world_size)
        self.batch_size = batch_size
        self.steps = samples_per_epoch // batch_size
        self.rank, self.share = rank, batch_size // world_size
        self._epoch_start, self._seen, self._resumed = 0, 0, False
        self._batches: list[range] = []  # read by the workers' loader when an epoch begins
        self._dataset, self._workers, self._pin = dataset, workers, pin
        self.waited = 0.0
        self._reader = self._make_reader()

    def __len__(self) -> int:
        """Steps of a whole epoch."""
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        """The rest of a resumed epoch, else a new one; decided when the first batch is read."""
        if not self._resumed or self._seen >= self.steps * self.batch_size:
            self._epoch_start, self._seen = self._epoch_start + self._seen, 0
        self._resumed = False
        first_step = self._seen // self.batch_size
        self._batches[:] = [self.numbers(step) for step in range(first_step, self.steps)]
        asked = time.perf_counter()
        for batch in self._reader:
            self._seen += self.batch_size
            self.waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()

    def numbers(self, step: int) -> range:
        """Numbers of the samples that this rank reads in a step of the current epoch."""
        first = self._epoch_start + step * self.batch_size + self.rank * self.share
        return range(first, first + self.share)

    def close(self) -> None:
        """Stop the workers; another iteration would start new ones.

        Left to the garbage collector, which takes a loader and its queues apart in any order, each
        worker is waited for in vain for five seconds.
        """
        self._reader = self._make_reader()

    def state_dict(self) -> dict[str, Any]:
        """Samples that all ranks together saw before this epoch, and in it."""
        return {"epoch_start": self._epoch_start, "seen": self._seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken, with any number of workers and ranks.

        Raises:
            ValueError: if the batch size has changed so that the place is between two batches.
        """
        if state["seen"] % self.batch_size:
            raise ValueError(
                f"data.batch_size={self.batch_size}: the run to continue had seen {state['seen']} "
                "samples of its epoch, which is no whole number of batches; keep its batch size"
            )
        self._epoch_start, self._seen = state["epoch_start"], state["seen"]
        self._resumed = True

    def _make_reader(self) -> DataLoader[Batch]:
        return DataLoader(
            self._dataset,
            batch_sampler=self._batches,
            num_workers=self._workers,
            collate_fn=as_it_is,
            persistent_workers=self._workers > 0,
            pin_memory=self._pin,
            generator=torch.Generator(),  # the loader draws from the global one without it
        )


def as_it_is(batch: Batch) -> Batch:
    """What torch's loader is to do with a batch that the data set has made."""
    return batch


def check_batches(batch_size: int, samples_per_epoch: int, world_size: int) -> None:
    """Whether an epoch has a batch and each process an equal share of it; see `Loader`.

    Raises:
        ValueError: if not.
    """
    if batch_size < 1 or batch_size % world_size:
        raise ValueError(
            f"data.batch_size={batch_size}: a multiple of the number of processes, "
            f"{world_size} (trainer.devices times trainer.num_nodes), is needed, for each takes an "
            "equal share of every batch"
        )
    if samples_per_epoch < batch_size:
        raise ValueError(
            f"data.samples_per_epoch={samples_per_epoch}: an epoch is at least one batch, "
            f"data.batch_size={batch_size}"
        )
