import pytest
import pytorch_lightning as pl
import torch

from mzsane.callbacks import Finite, LastCheckpoint
from mzsane.data import Batch


class One(pl.LightningModule):
    """A single weight whose loss, or gradient, is no number at a step."""

    sources = ("digits", "printed")

    def __init__(self, step, gradient):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.step, self.gradient = step, gradient

    def training_step(self, batch, batch_idx):
        if self.global_step + 1 < self.step:
            return self.weight.square()
        # the root of zero has no derivative
        return self.weight.sqrt() if self.gradient else self.weight / 0

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def batch(source):
    values = torch.ones(3, 2, 2, 4)
    positions = torch.zeros(3, 2, 3, dtype=torch.long)
    number = torch.arange(3)
    fields = {
        "values": values, "mask": values[:, 0] > 0, "positions": positions,
        "segment": positions[..., 0], "source": torch.tensor(source), "key": number, "mixed": False,
    }  # fmt: skip
    return Batch(*(fields.get(name, number) for name in Batch._fields))


def fit(folder, step, every=1, checkpoints=0, gradient=False):
    trainer = pl.Trainer(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, max_epochs=1, log_every_n_steps=every,
        callbacks=[LastCheckpoint(folder, checkpoints), Finite()],
    )  # fmt: skip
    batches = [batch([0, 0, 0]), batch([1, 0, 0]), batch([1, 1, 1])] * 4
    loader = torch.utils.data.DataLoader(batches, batch_size=None, collate_fn=lambda x: x)
    trainer.fit(One(step, gradient), loader)
    return trainer


@pytest.mark.parametrize("every", [1, 4, 50])
def test_the_batch_of_the_first_bad_loss_is_named(tmp_path, every):
    with pytest.raises(ValueError, match=r"step 5, in a batch of digits \(2\), printed \(1\)"):
        fit(tmp_path, step=5, every=every)


@pytest.mark.parametrize("gradient", [False, True])
def test_the_last_good_checkpoint_is_kept(tmp_path, gradient):
    with pytest.raises(ValueError, match="not finite"):
        fit(tmp_path, step=5, every=50, checkpoints=2, gradient=gradient)
    kept = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert kept["global_step"] == 4
    assert kept["state_dict"]["weight"].isfinite()


def test_weights_that_are_no_numbers_are_said_to_be(tmp_path):
    with pytest.raises(ValueError, match="weights are not finite after step 6, though the loss"):
        fit(tmp_path, step=6, every=50, checkpoints=2, gradient=True)


def test_a_finite_run_ends_as_it_should(tmp_path):
    assert fit(tmp_path, step=100).global_step == 12
