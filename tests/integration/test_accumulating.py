"""Accumulated batches make the step of one large batch, where the objective allows it.

The reconstruction is a mean over real weights: batches of equally many have the mean of their
means. A scope of normalisation that spans the batch and the contrastive loss see one batch only.
"""

import functools

import pytest
import pytorch_lightning as pl
import torch

from mzsane.data import ZooData
from mzsane.losses import MaskedReconstruction, NTXent, SaneLoss
from mzsane.models import Sane
from mzsane.systems import Pretraining

BATCH, STEPS = 8, 3


class Gradients(pl.Callback):
    """Those of each step, before clipping."""

    def __init__(self):
        self.steps = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.steps.append({n: p.grad.clone() for n, p in pl_module.named_parameters()})


def fit(store, folder, accumulate, normalization="token", gamma=0.0):
    torch.manual_seed(0)
    size = BATCH // accumulate
    data = ZooData({"tiny": store}, 60, size, samples_per_epoch=STEPS * BATCH)  # models whole
    system = Pretraining(
        Sane(data.d_token, 16, 2, 1, 4, 60, positions="sinusoidal"),
        SaneLoss(MaskedReconstruction(normalization), NTXent(), gamma=gamma),
        functools.partial(torch.optim.SGD, lr=1e-2),
        functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=1e-2),
        total_steps=data.total_steps(1, accumulate=accumulate),
        sources=data.sources,
    )
    gradients = Gradients()
    trainer = pl.Trainer(
        default_root_dir=folder, accelerator="cpu", max_epochs=1, logger=False,
        accumulate_grad_batches=accumulate, gradient_clip_val=1.0, callbacks=[gradients],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(system, datamodule=data)
    return gradients.steps


@pytest.mark.parametrize("normalization", ["token", "window", "none"])
def test_two_halves_make_the_step_of_the_whole(store, tmp_path, normalization):
    whole, halves = (fit(store, tmp_path, n, normalization) for n in (1, 2))
    assert len(whole) == len(halves) == STEPS
    for a, b in zip(whole, halves, strict=True):
        for name, gradient in a.items():
            torch.testing.assert_close(b[name], gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("settings", [{"gamma": 0.5}, {"normalization": "batch"}])
def test_what_compares_within_a_batch_sees_each_batch_alone(store, tmp_path, settings):
    whole, halves = (fit(store, tmp_path, n, **settings)[0] for n in (1, 2))
    name = "model.embed.weight"
    assert (whole[name] - halves[name]).norm() > 1e-4 * whole[name].norm()
