"""What the integration tests of interruption cannot reach: the time after the last step."""

import contextlib
import os
import signal

import pytest
import pytorch_lightning as pl
import torch

from mzsane.callbacks import LastCheckpoint


class One(pl.LightningModule):
    """A single weight."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch, batch_idx):
        return self.weight * batch.mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Signal(pl.Callback):
    """Sends a signal while a hook runs, and notes whether the hook went on."""

    def __init__(self, hook, number):
        self.survived = False

        def send(*_):
            os.kill(os.getpid(), number)
            self.survived = True

        setattr(self, hook, send)


def fit(folder, *callbacks):
    trainer = pl.Trainer(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_progress_bar=False,
        enable_model_summary=False, max_epochs=1,
        callbacks=[LastCheckpoint(folder), *callbacks],
    )  # fmt: skip
    trainer.fit(One(), torch.utils.data.DataLoader(torch.ones(4, 1)))
    return trainer


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 143)])
def test_a_signal_after_the_last_step_is_obeyed_before_evaluation(tmp_path, number, code):
    ending, evaluation = Signal("on_train_epoch_end", number), Signal("on_fit_end", 0)
    with pytest.raises(SystemExit) as stop:
        fit(tmp_path, ending, evaluation)
    assert stop.value.code == code
    assert ending.survived
    assert not evaluation.survived
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 4


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_fit_end"])
def test_signals_are_given_back_whether_training_ends_or_fails(tmp_path, hook):
    def fail(*_):
        raise ArithmeticError

    broken = pl.Callback()
    setattr(broken, hook, fail)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ArithmeticError):
        fit(tmp_path, broken)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_signals_are_given_back_by_a_run_that_succeeds(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    fit(tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_write_that_is_cut_short_leaves_the_checkpoint_before_it(tmp_path, monkeypatch):
    trainer = fit(tmp_path)
    whole = (tmp_path / "last.ckpt").read_bytes()

    def cut_short(path, *_, **__):
        path.write_bytes(whole[:100])
        raise ArithmeticError

    monkeypatch.setattr(trainer, "save_checkpoint", cut_short)
    with pytest.raises(ArithmeticError):
        trainer.callbacks[0].on_train_end(trainer, trainer.lightning_module)
    assert (tmp_path / "last.ckpt").read_bytes() == whole


@pytest.mark.parametrize("refused", [False, True])
def test_a_job_whose_time_is_up_is_saved_and_requeued(tmp_path, monkeypatch, refused):
    job = {"SLURM_JOB_ID": "42", "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    for name, value in (job | {"SLURM_NODEID": "0", "SLURM_JOB_NAME": "train"}).items():
        monkeypatch.setenv(name, value)
    scontrol = tmp_path / "bin" / "scontrol"
    scontrol.parent.mkdir()
    answer = "echo not allowed >&2; exit 1" if refused else ""
    scontrol.write_text(f"#!/bin/sh\necho $@ > {tmp_path}/asked\n{answer}\n")
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", str(scontrol.parent), prepend=os.pathsep)
    warned = pytest.warns(UserWarning, match="did not requeue job 42 .not allowed")
    ending = Signal("on_train_batch_start", signal.SIGUSR1)
    with warned if refused else contextlib.nullcontext(), pytest.raises(SystemExit) as stop:
        fit(tmp_path, ending)
    assert stop.value.code == 143
    assert (tmp_path / "asked").read_text() == "requeue 42\n"
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 1
    assert not list(tmp_path.glob("hpc_ckpt*"))
