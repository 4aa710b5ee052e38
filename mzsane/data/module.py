"""The stores of a run, as Lightning wants them."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, Subset

from mzsane.data.batch import Batch
from mzsane.data.dataset import WindowDataset
from mzsane.data.loader import Loader, as_it_is
from mzsane.data.sharing import Share
from mzsane.data.validation import ValidationWindows
from mzsane.stores import TokenStore

WORKERS = 6
"""Processes that read ahead for a GPU, unless a user says how many."""


class ZooData(pl.LightningDataModule):
    """Training and validation windows of one or several zoos.

    Stores are opened, and everything is checked, when this is made. The place in the stream of
    training samples is part of a checkpoint. It is kept here as well as by Lightning's loops,
    because those forget it when training was stopped at the end of an epoch.

    Args:
        stores: by source, a path or an open store.
        window: tokens of a window.
        batch_size: windows of a step, all processes together.
        samples_per_epoch: windows of an epoch, rounded down to whole batches.
        mix: how often each source is drawn; see `mixture`.
        temperature: of ``mix="temperature"``.
        num_models: training networks per source; None takes all. Validation always takes all.
        epochs: checkpoints of each network; None takes all.
        validation_windows: at most, of each held-out checkpoint, evenly spread over long models;
            None covers every model, which for a ResNet-18 takes 172 windows of 256 tokens.
        pack: fill the windows of models that are shorter with further models of their source;
            False pads them.
        repeat: train on the first so many windows only, and validate on the same ones: whether a
            model can learn them at all. None trains on the whole stream and validates on models
            that were held out.
        workers: processes that read ahead; 0 reads in the training process. None takes, for each
            GPU, up to `WORKERS` of the machine's cores, and 0 on a CPU, which has none to spare.
        seed: of the run.

    Raises:
        FileNotFoundError: if a store is missing.
        ValueError: if a store or a setting cannot be used, or does not fit the others.
    """

    def __init__(
        self,
        stores: Mapping[str, str | Path | TokenStore],
        window: int,
        batch_size: int,
        samples_per_epoch: int,
        mix: str | Mapping[str, float] = "proportional",
        temperature: float = 2.0,
        num_models: int | None = None,
        epochs: Sequence[int] | None = None,
        validation_windows: int | None = None,
        pack: bool = False,
        repeat: int | None = None,
        workers: int | None = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.stores = {name: _opened(store) for name, store in stores.items()}
        self.train_windows = WindowDataset(
            self.stores, window, seed, mix, temperature, num_models, epochs, pack, repeat
        )
        self.validation: Dataset[Batch] = (
            Subset(self.train_windows, range(repeat))
            if repeat
            else ValidationWindows(self.stores, window, seed, epochs, validation_windows, pack)
        )
        self.window, self.batch_size, self.workers = window, batch_size, workers
        self.samples_per_epoch = samples_per_epoch
        self._loader = self._make_loader()
        self._place: dict[str, Any] | None = None

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the sources; `Batch.source` numbers them."""
        return self.train_windows.sources

    @property
    def d_token(self) -> int:
        """Entries per token."""
        return self.train_windows.d_token

    @property
    def max_positions(self) -> tuple[int, int, int]:
        """Tokens, layers and rows of the largest models: the least sizes of position tables."""
        layouts = [s.layout for store in self.stores.values() for s in store.architectures]
        return (
            max(layout.num_tokens for layout in layouts),
            max(layout.num_layers for layout in layouts),
            max(layer.num_indices for layout in layouts for layer in layout.layers),
        )

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        return len(self._loader)

    def total_steps(self, max_epochs: int | None, max_steps: int = -1, accumulate: int = 1) -> int:
        """Optimizer steps of a run that ends after so many epochs or steps, whichever is first.

        Args:
            max_epochs: None or -1 sets no limit.
            max_steps: -1 sets no limit.
            accumulate: batches of a step; the last step of an epoch may have fewer.

        Raises:
            ValueError: if neither sets a limit.
        """
        epochs = -1 if max_epochs is None else max_epochs
        steps = -(-self.steps_per_epoch // accumulate)
        limits = [epochs * steps] * (epochs >= 0) + [max_steps] * (max_steps >= 0)
        if not limits:
            raise ValueError("trainer: set max_epochs or max_steps; schedules need an end")
        return min(limits)

    def train_dataloader(self) -> Loader:
        """A stream that begins at its first sample, or where the resumed run was."""
        self._loader = self._make_loader(*self._rank(), self._on_gpu())
        if self._place is not None:
            self._loader.load_state_dict(self._place)
            self._place = None
        return self._loader

    def val_dataloader(self) -> DataLoader[Batch]:
        """All validation windows in order, divided among the processes."""
        rank, world_size = self._rank()
        return DataLoader(
            Share(self.validation, rank, world_size),
            batch_size=max(self.batch_size // world_size, 1),
            num_workers=self._readers(),
            collate_fn=as_it_is,
            persistent_workers=self._readers() > 0,
            pin_memory=self._on_gpu(),
            generator=torch.Generator(),
        )

    def teardown(self, stage: str) -> None:
        """Stop the workers that read training windows; Lightning stops the others."""
        self._loader.close()

    def state_dict(self) -> dict[str, Any]:
        """The place in the stream of training samples."""
        return self._loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The next `train_dataloader` goes on at this place."""
        self._place = state_dict

    def _make_loader(self, rank: int = 0, world_size: int = 1, pin: bool = False) -> Loader:
        return Loader(
            self.train_windows,
            self.batch_size,
            self.samples_per_epoch,
            self._readers(),
            rank,
            world_size,
            pin,
        )

    def _readers(self) -> int:
        """Processes that read ahead for this one."""
        if self.workers is not None:
            return self.workers
        if not self._on_gpu():
            return 0
        return max(min(WORKERS, (os.cpu_count() or 1) // self.trainer.num_devices - 1), 0)

    def _rank(self) -> tuple[int, int]:
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer else (0, 1)

    def _on_gpu(self) -> bool:
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"


def _opened(store: str | Path | TokenStore) -> TokenStore:
    return store if isinstance(store, TokenStore) else TokenStore.open(store)
