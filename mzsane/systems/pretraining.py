"""What one step of pretraining does."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from jaxtyping import Int
from torch import Tensor, nn

from mzsane.data import Batch, perturb
from mzsane.losses import MaskedSums, Step, added, masked_sums
from mzsane.systems.behaviour import Networks
from mzsane.systems.scores import scores
from mzsane.systems.sharding import FullySharded


class Pretraining(pl.LightningModule):
    """Reconstructs clean windows from noised ones and holds two views of a model together.

    View 0 is canonical, view 1 permuted; both are noised, the target of each is its own clean
    window (SANE, arXiv:2406.09997; inhomogeneous zoos, arXiv:2504.10141). Logged as
    `stage/quantity`: losses in training of the first process's share of a batch, for others would
    have to be waited for, in validation of all; `mzsane.systems.scores` of held-out models;
    `train/share/<source>`, how much of the epoch came from it.

    Args:
        model: `encode`, `decode` and `project` as `mzsane.models.Sane` has them.
        loss: given a `Step`, returns a mapping with the key "loss".
        optimizer: given parameter groups, makes the optimizer.
        scheduler: given the optimizer and `total_steps`, makes a per-step schedule.
        total_steps: optimizer steps of the whole run.
        sources: names of the zoo's sources, in the order of `Batch.source`.
        sigma: spread of the multiplicative noise on inputs, dimensionless.
        erase: share of entries erased from inputs.
        compile: compile the model's parts in place, which keeps the names in its state dict.
        seed: noise is a function of it and of the sample's number, dropout of it and of the step.
        networks: answer for the models in the windows, where the loss asks; None if it does not.
        checkpointing: keep of the model's blocks only what goes into them, and compute the rest
            again for the gradient; see `mzsane.models.transformer.Transformer`.
        kinds: names of the kinds of layers that the last column of `Batch.positions` numbers;
            without any, R² is that of whole sources only.

    Raises:
        ValueError: if `sigma` is negative or `erase` no share of one.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: nn.Module,
        optimizer: Callable[..., torch.optim.Optimizer],
        scheduler: Callable[..., torch.optim.lr_scheduler.LRScheduler],
        total_steps: int,
        sources: tuple[str, ...],
        sigma: float = 0.1,
        erase: float = 0.0,
        compile: bool = False,
        seed: int = 0,
        networks: Networks | None = None,
        checkpointing: bool = False,
        kinds: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        if sigma < 0 or not 0 <= erase <= 1:
            raise ValueError(
                f"sigma={sigma}, erase={erase}: noise has no negative spread, erasing is a share"
            )
        self.model, self.loss = model, loss
        self.optimizer, self.scheduler, self.total_steps = optimizer, scheduler, total_steps
        self.sources, self.sigma, self.erase, self.seed = sources, sigma, erase, seed
        self.compile_model, self.networks, self.kinds = compile, networks, kinds
        self._shown = torch.zeros(len(sources), dtype=torch.int64)
        if checkpointing:
            model.encoder.checkpointing = model.decoder.checkpointing = True

    def setup(self, stage: str) -> None:
        """Compile in place when asked: the parts, for a step calls `encode` and `decode`."""
        if self.compile_model:
            for part in self.model.children():
                part.compile()

    def on_train_start(self) -> None:
        """What a resumed epoch has shown so far, all ranks together, is counted by the first."""
        self._shown = self._shown.to(self.device) * (self.global_rank == 0)

    def on_train_epoch_start(self) -> None:
        """Count anew; an epoch that is resumed does not start, and goes on counting."""
        self._shown.zero_()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Let dropout be a function of seed, step and rank, so that resumed runs repeat it."""
        name = np.random.SeedSequence([self.seed, self.global_step, batch_idx, self.global_rank])
        torch.manual_seed(int(name.generate_state(1)[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        parts, _ = self._step(batch, self.sigma, self.erase)
        self._log_parts(parts, "train", batch)
        own = torch.arange(len(self.sources), device=batch.source.device)
        self._shown += (batch.source[:, None] == own).sum(0)
        return parts["loss"]

    def on_train_epoch_end(self) -> None:
        """Log how much of the epoch came from each source; a single one has all of it."""
        shown = self._shown_by_all()
        if len(self.sources) > 1:
            for name, share in zip(self.sources, (shown / shown.sum()).tolist(), strict=True):
                self.log(f"train/share/{name}", share)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what this epoch has shown, so that an interruption changes no share."""
        checkpoint["shown"] = self._shown_by_all().cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting."""
        self._shown = checkpoint["shown"]

    def on_validation_epoch_start(self) -> None:
        """Empty the sums from which R² is made."""
        self._sums: list[MaskedSums] = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The loss without noise, and the sums from which R² is made."""
        parts, outputs = self._step(batch, 0.0, 0.0)
        self._log_parts(parts, "val", batch)
        views = batch.values.shape[1]
        clean = batch.values.flatten(0, 1)
        both = (batch.mask, self._groups(batch))
        mask, group = (part.repeat_interleave(views, 0) for part in both)
        num_groups = len(self.sources) * max(len(self.kinds), 1)
        self._sums.append(masked_sums(outputs, clean, mask, group, num_groups))

    def on_validation_epoch_end(self) -> None:
        """Log squared error and R² per source, and R² per kind of layer, of all held-out models."""
        totals = added(self._sums)
        reduced = (self.trainer.strategy.reduce(total, reduce_op="sum") for total in totals)
        for name, score in scores(MaskedSums(*reduced), self.sources, self.kinds).items():
            self.log(f"val/{name}", score)

    def configure_optimizers(self) -> dict[str, Any]:
        """Weights decay; norms, biases and position tables do not."""
        tables = {m.weight for m in self.model.modules() if isinstance(m, nn.Embedding)}
        trained = [p for p in self.model.parameters() if p.requires_grad]
        decayed = [p for p in trained if p.ndim >= 2 and p not in tables]
        free = [p for p in trained if p.ndim < 2 or p in tables]
        optimizer = self.optimizer([{"params": decayed}, {"params": free, "weight_decay": 0.0}])
        # Fused kernels can unscale gradients themselves, for which Lightning refuses to clip them,
        # even where nothing is scaled. Told otherwise, the scaler unscales before clipping.
        optimizer._step_supports_amp_scaling = False
        try:
            schedule = self.scheduler(optimizer, total_steps=self.total_steps)
        except ZeroDivisionError as error:  # torch's OneCycleLR with a phase of a single step
            raise ValueError(
                f"scheduler: {self.total_steps} steps leave one of its phases without any; train "
                "longer, or take another scheduler.pct_start"
            ) from error
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def whole_model(self) -> nn.Module | None:
        """The model with all of its weights; where they are divided, on the first process only.

        It is then a copy on the CPU, for which all processes must ask together.
        """
        strategy = self.trainer.strategy
        return strategy.whole_model() if isinstance(strategy, FullySharded) else self.model

    def _step(self, batch: Batch, sigma: float, erase: float) -> tuple[dict[str, Tensor], Tensor]:
        views = batch.values.shape[1]
        inputs = perturb(batch, self.seed, sigma, erase).flatten(0, 1)
        positions, mask = (p.repeat_interleave(views, 0) for p in (batch.positions, batch.mask))
        segment = batch.segment.repeat_interleave(views, 0) if batch.mixed else None
        latents = self.model.encode(inputs, positions, segment)
        outputs = self.model.decode(latents, positions, segment)
        step = Step(
            prediction=outputs,
            target=batch.values.flatten(0, 1),
            mask=mask,
            layer=positions[..., 1],
            segment=batch.segment.repeat_interleave(views, 0),
            latents=latents,
            projections=self.model.project(latents, segment).unflatten(0, (-1, views)),
            encode=lambda tokens: self.model.encode(tokens, positions, segment),
            answers=self.networks and partial(self.networks.answers, batch, outputs, self.seed),
        )
        return self.loss(step), outputs

    def _groups(self, batch: Batch) -> Int[Tensor, "batch window"]:
        """Source and kind of layer of each token, as one number."""
        source = batch.source[:, None].expand_as(batch.segment)
        return source * len(self.kinds) + batch.positions[..., -1] if self.kinds else source

    def _log_parts(self, parts: dict[str, Tensor], stage: str, batch: Batch) -> None:
        for name, value in parts.items():
            shown = stage == "train" and name == "loss"
            self.log(
                f"{stage}/{name}",
                value,
                prog_bar=shown,
                batch_size=len(batch.values),
                sync_dist=stage == "val",
            )

    def _shown_by_all(self) -> Int[Tensor, " sources"]:
        """Samples of each source in this epoch, of all ranks; a collective."""
        return self.trainer.strategy.reduce(self._shown.clone(), reduce_op="sum")  # works in place
