"""Stops a run whose loss or weights are no numbers, and says where it happened."""

from typing import Any, NoReturn

import pytorch_lightning as pl
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mzsane.data import Batch

_NEVER = torch.inf  # step of the first batch whose loss was not finite


class Finite(pl.Callback):
    """Ends training after a loss that is NaN or infinite; no checkpoint is written from then on.

    The first such step and its batch are noted on the device at every step, and looked at every
    `log_every_n_steps` and before a checkpoint is written, so that steps need not wait for the
    host. Weights are looked at before a checkpoint is written: a gradient may be NaN where the
    loss is not. `last.ckpt` and `best.ckpt` stay as they were before.

    Raises:
        ValueError: from the hooks of the first process; it names step and sources of the batch.
        SystemExit: from those of the others, which have nothing to add.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin with no step noted."""
        self._note = torch.full((1 + len(pl_module.sources),), _NEVER, device=pl_module.device)
        self._checked = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: dict[str, Tensor],
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Note on the device; look every `log_every_n_steps`."""
        step = trainer.global_step
        own = torch.arange(len(self._note) - 1, device=batch.source.device)
        shown = (batch.source[:, None] == own).sum(0)
        here = torch.cat([shown.new_full((1,), step), shown]).to(self._note.dtype)
        is_first = ~outputs["loss"].isfinite() & self._note[0].isinf()
        self._note = torch.where(is_first, here, self._note)
        if step % trainer.log_every_n_steps == 0 and step != self._checked:
            self._look(trainer, pl_module)
        self._checked = step

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Refuse to replace a good checkpoint."""
        self._look(trainer, pl_module)
        whole = _finite(pl_module)
        if not trainer.strategy.reduce_boolean_decision(bool(whole), all=True):
            _stop(
                trainer,
                f"the weights are not finite after step {trainer.global_step}, though the loss was",
            )

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        notes = trainer.strategy.all_gather(self._note).reshape(-1, len(self._note))
        step = notes[:, 0].min()
        if step.isfinite():
            shown = notes[notes[:, 0] == step, 1:].sum(0).int().tolist()
            named = zip(pl_module.sources, shown, strict=True)
            batch = ", ".join(f"{name} ({count})" for name, count in named if count)
            _stop(
                trainer,
                f"the loss is not finite at step {int(step)}, in a batch of {batch} windows",
            )


_WAY_OUT = (
    "train with a lower optimizer.lr or trainer.precision=32-true, or look at the source's weights "
    "with python -m mzsane.inspect"
)


def _stop(trainer: pl.Trainer, found: str) -> NoReturn:
    """End all processes, with one sentence."""
    if not trainer.is_global_zero:
        raise SystemExit(0)  # Lightning would kill the first process, were this an error
    raise ValueError(f"training: {found}; the checkpoints of earlier steps are kept; {_WAY_OUT}")


def _finite(module: torch.nn.Module) -> Bool[Tensor, ""]:
    """Whether all parameters are, without waiting for each of them."""
    sums: list[Float[Tensor, ""]] = [p.detach().abs().max() for p in module.parameters()]
    return torch.stack([x.float() for x in sums]).isfinite().all()
