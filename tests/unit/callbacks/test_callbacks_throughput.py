import csv
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import CSVLogger

from mzsane.callbacks import Throughput
from mzsane.callbacks.arithmetic import flops_per_token
from mzsane.data import Batch
from mzsane.models import Sane

SAMPLES, VIEWS, WINDOW = 2, 2, 3


class One(pl.LightningModule):
    """A single weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        return 3 * self.weight * batch.values.mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def batches(count):
    values = torch.ones(SAMPLES, VIEWS, WINDOW, 4)
    positions = torch.zeros(SAMPLES, WINDOW, 3, dtype=torch.long)
    mask, one = values[:, 0] > 0, torch.zeros(SAMPLES, dtype=torch.long)
    batch = Batch(values, mask, positions, positions[..., 0], one, one, one, mixed=False)
    return torch.utils.data.DataLoader([batch] * count, batch_size=None)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    logger = CSVLogger(folder, flush_logs_every_n_steps=1)
    trainer = pl.Trainer(
        default_root_dir=folder, accelerator="cpu", logger=logger, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, max_epochs=4, log_every_n_steps=4,
        callbacks=[Throughput()],
    )  # fmt: skip
    trainer.fit(One(), batches(5))  # an epoch of 5 steps and a log every 4 take all phases
    with (Path(logger.log_dir) / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_every_logged_step_has_a_rate_and_a_norm(rows):
    assert [int(row["step"]) for row in rows if row["throughput/tokens_per_s"]] == [
        3,
        7,
        11,
        15,
        19,
    ]
    assert [float(row["train/gradient_norm"]) for row in rows] == [3.0] * 5


def test_a_sample_is_as_many_tokens_as_its_views_have(rows):
    for row in rows:
        rate = float(row["throughput/tokens_per_s"]) / float(row["throughput/samples_per_s"])
        assert rate == pytest.approx(VIEWS * WINDOW)


def test_waiting_is_a_share_and_memory_is_that_of_this_process(rows):
    assert all(float(row["throughput/data_wait"]) == 0 for row in rows)  # of a foreign loader
    assert all(0.01 < float(row["throughput/peak_memory_GiB"]) < 100 for row in rows)
    assert "throughput/utilisation" not in rows[0]


def test_arithmetic_is_that_of_the_products():
    model = Sane(12, 16, 2, 3, 5, 7, max_positions=[9, 9, 9], projection=4)
    linear = 2 * 3 * 12 * 16 * 16 + 2 * (12 * 16 + 16 * 5)  # blocks; what leads in and out
    head = 7 * 5 * 4 + 4 * 4
    expected = 6 * (linear + head / 7) + 12 * 6 * 16 * 7
    assert flops_per_token(model, 7) == pytest.approx(expected)


def test_utilisation_is_the_rate_times_the_arithmetic(tmp_path):
    logger = CSVLogger(tmp_path, flush_logs_every_n_steps=1)
    module = One()
    module.model = Sane(4, 8, 2, 1, 3, WINDOW, positions="sinusoidal")
    trainer = pl.Trainer(
        default_root_dir=tmp_path, accelerator="cpu", logger=logger, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, max_epochs=1, log_every_n_steps=2,
        callbacks=[Throughput(peak_flops=1e9)],
    )  # fmt: skip
    trainer.fit(module, batches(2))
    with (Path(logger.log_dir) / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    rate = float(row["throughput/tokens_per_s"]) * flops_per_token(module.model, WINDOW)
    assert float(row["throughput/utilisation"]) == pytest.approx(rate / 1e9)
