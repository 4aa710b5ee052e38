"""How fast training goes and how large its gradients are."""

import time
from typing import Any

import pytorch_lightning as pl
import torch

from mzsane.data import Batch


class Throughput(pl.Callback):
    """Logs tokens and samples per second and the gradient's norm, every `log_every_n_steps`.

    Tokens are those of both views, padding included, of all ranks; the clock runs from one logged
    step to the next and so includes waiting for data. The norm is that before clipping.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; a run that resumes in the middle of an epoch starts no epoch."""
        self._reset()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock anew; validation between epochs is not counted."""
        self._reset()

    def on_before_optimizer_step(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        """The Euclidean norm of all gradients."""
        if (trainer.global_step + 1) % trainer.log_every_n_steps == 0:  # not counted yet
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            pl_module.log("train/gradient_norm", torch.nn.utils.get_total_norm(gradients))

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Count; at a logged step, divide by the time since the last one."""
        samples, views, window, _ = batch.values.shape
        self._samples += samples * trainer.world_size
        self._tokens += samples * views * window * trainer.world_size
        if trainer.global_step % trainer.log_every_n_steps == 0:
            seconds = time.perf_counter() - self._start
            pl_module.log("throughput/tokens_per_s", self._tokens / seconds)
            pl_module.log("throughput/samples_per_s", self._samples / seconds)
            self._reset()

    def _reset(self) -> None:
        self._start, self._tokens, self._samples = time.perf_counter(), 0, 0
