"""One batch again and again, until its weights are explained: whether a model learns at all."""

import csv
import functools
import os
import subprocess
import sys

import pytest
import pytorch_lightning as pl
import torch

from mzsane.data import ZooData
from mzsane.losses import MaskedReconstruction, NTXent, SaneLoss
from mzsane.models import Sane
from mzsane.systems import Pretraining


def test_a_tiny_model_explains_one_batch(store, tmp_path):
    torch.manual_seed(0)
    data = ZooData({"tiny": store}, 12, 4, samples_per_epoch=200, repeat=4)
    system = Pretraining(
        Sane(data.d_token, 64, 2, 1, 32, 12, positions="sinusoidal"),
        SaneLoss(MaskedReconstruction("token"), NTXent(), gamma=0.0),
        functools.partial(torch.optim.AdamW, lr=5e-3, weight_decay=0.0),
        functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=5e-3),
        total_steps=data.total_steps(4),
        sources=data.sources,
        sigma=0.0,
    )
    trainer = pl.Trainer(
        default_root_dir=tmp_path, accelerator="cpu", max_epochs=4, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        use_distributed_sampler=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(system, datamodule=data)
    assert trainer.callback_metrics["val/r2/tiny"] > 0.99


@pytest.mark.slow
def test_the_command_explains_real_weights(tmp_path):
    """Of trained networks, which it builds, with the tiny model that is the default."""
    environment = {**os.environ, "MZSANE_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
    arguments = [sys.executable, "-m", "mzsane.train", "experiment=overfit"]
    done = subprocess.run(
        arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.glob("runs/overfit/*/metrics.csv")
    with path.open() as file:
        scores = [float(row["val/r2/digits"]) for row in csv.DictReader(file) if row["val/loss"]]
    assert scores[-1] > 0.99
    assert f"val/r2/digits  {scores[-1]:.4g}" in done.stdout
