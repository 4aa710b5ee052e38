"""A checkpoint to go on from, written at whole steps only."""

import signal
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from mzsane.callbacks.requeuing import WARNING, requeue, warning_signals

_SYNC_EVERY = (
    10  # steps between the ranks' agreeing to stop: a collective each step would cost more
)


class LastCheckpoint(Checkpoint):
    """Writes `last.ckpt` every n steps, at the end, and on Ctrl-C or SIGTERM.

    A signal is remembered and acted on after the current step, so that the checkpoint never holds
    half a step, nor gradients accumulated for the next one, and resuming gives the weights of an
    uninterrupted run. A second Ctrl-C stops at once. The file is replaced as a whole. Slurm's
    warning (SIGUSR1) is obeyed alike, and the job then requeued; Lightning by itself would save
    in the middle of a step, and prefer that file ever after.

    Lightning lets a `Checkpoint` have its turn after all other callbacks, so that what they do at
    a step, such as averaging weights, is in the file.

    Args:
        dirpath: folder of the checkpoint.
        every_n_steps: optimizer steps between checkpoints; 0 leaves the end and signals.
    """

    def __init__(self, dirpath: str | Path, every_n_steps: int = 100) -> None:
        self.path = Path(dirpath) / "last.ckpt"
        self.every_n_steps = every_n_steps
        self._signal: int | None = None
        self._leaving = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take over the signals; Lightning gives all of them back when training ends or fails."""
        self._signal, self._leaving = None, False
        self._step = trainer.global_step
        for number in (signal.SIGINT, signal.SIGTERM, *warning_signals()):
            signal.signal(number, self._remember)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Save when it is due or a signal came; after the last step of an epoch, validation first.

        Lightning does not catch up on the validation of an epoch whose last step was saved.
        """
        stepped = trainer.global_step > self._step  # not while gradients are accumulated
        self._step = trainer.global_step
        if stepped and not trainer.is_last_batch:
            self._save(trainer)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Leave after a signal: at the end of a step its metrics would not be logged yet."""
        self._leave(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What was put off until after validation."""
        self._save(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Leave after a signal: at the end of an epoch its metrics would not be logged yet."""
        self._leave(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the trained model; after a signal, leave its evaluation to the next start."""
        self._write(trainer)
        self._leaving = trainer.strategy.reduce_boolean_decision(
            self._signal is not None, all=False
        )
        self._leave(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        self._leaving = self._agreed(trainer)
        due = self.every_n_steps and trainer.global_step % self.every_n_steps == 0
        if self._leaving or due:
            self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        # Lightning writes to the system's temporary folder and moves from there, which on another
        # disk is a copy that a kill can cut short.
        partial = self.path.with_name(f".{self.path.name}.partial")
        trainer.save_checkpoint(partial)
        if trainer.is_global_zero:
            partial.replace(self.path)

    def _leave(self, trainer: pl.Trainer) -> None:
        if self._leaving:
            if not trainer.is_global_zero:
                raise SystemExit(0)  # Lightning would kill the first process, were this an error
            if self._signal == WARNING:
                requeue()
            raise KeyboardInterrupt if self._signal == signal.SIGINT else SystemExit(143)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = number

    def _agreed(self, trainer: pl.Trainer) -> bool:
        if trainer.world_size == 1:
            return self._signal is not None
        if trainer.global_step % _SYNC_EVERY and not trainer.is_last_batch:
            return False
        return trainer.strategy.reduce_boolean_decision(self._signal is not None, all=False)
