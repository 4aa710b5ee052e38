"""How fast training goes, what holds it up, and how large its gradients are."""

import resource
import sys
import time
from typing import Any

import pytorch_lightning as pl
import torch

from mzsane.callbacks.arithmetic import flops_per_token, peak_flops
from mzsane.data import Batch, Loader


class Throughput(pl.Callback):
    """Logs rates, utilisation, waiting, memory and the gradient's norm, every `log_every_n_steps`.

    Under `throughput/`: `tokens_per_s` and `samples_per_s`, of all ranks, tokens being those of
    both views, padding included; `data_wait`, the share of this process's time in which it waited
    for its loader; `peak_memory_GiB` since the start, of the device, on a CPU of the process; and
    `utilisation`, the model's arithmetic (`flops_per_token`) as a share of what the devices could
    do in bfloat16, whatever the precision. The clock runs from one logged step to the next and so
    includes all waiting. `train/gradient_norm` is that before clipping.

    Args:
        peak_flops: operations a second of one device; None looks its name up, and logs no
            utilisation where it is unknown, as that of CPUs is.
    """

    def __init__(self, peak_flops: float | None = None) -> None:
        self.peak_flops = peak_flops

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; a run that resumes in the middle of an epoch starts no epoch."""
        self._peak = self.peak_flops or peak_flops(pl_module.device)
        self._step = trainer.global_step
        self._reset(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock anew; validation between epochs is not counted."""
        self._reset(trainer)

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
        stepped = trainer.global_step > self._step  # not while gradients are accumulated
        self._step = trainer.global_step
        if stepped and trainer.global_step % trainer.log_every_n_steps == 0:
            self._log(trainer, pl_module, window)
            self._reset(trainer)

    def _log(self, trainer: pl.Trainer, pl_module: pl.LightningModule, window: int) -> None:
        seconds = time.perf_counter() - self._start
        figures = {
            "tokens_per_s": self._tokens / seconds,
            "samples_per_s": self._samples / seconds,
            "data_wait": (_waited(trainer) - self._waited) / seconds,
            "peak_memory_GiB": _peak_memory(pl_module.device) / 2**30,
        }
        if self._peak:
            flops = flops_per_token(pl_module.model, window) * figures["tokens_per_s"]
            figures["utilisation"] = flops / (self._peak * trainer.world_size)
        for name, value in figures.items():
            pl_module.log(f"throughput/{name}", value)

    def _reset(self, trainer: pl.Trainer) -> None:
        self._start, self._waited = time.perf_counter(), _waited(trainer)
        self._tokens, self._samples = 0, 0


def _waited(trainer: pl.Trainer) -> float:
    """Seconds; none that is known for another loader than ours."""
    loader = trainer.train_dataloader
    return loader.waited if isinstance(loader, Loader) else 0.0


def _peak_memory(device: torch.device) -> float:
    """Bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
