"""Interrupted equals uninterrupted, and watching changes nothing."""

import os
import signal

import pytest
import pytorch_lightning as pl
import torch

from mzsane.callbacks import Throughput


class Interrupt(pl.Callback):
    """Sends a signal in the middle of a step."""

    def __init__(self, step, number):
        self.step, self.number = step, number

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


class Watch(pl.Callback):
    """Remembers which samples were trained on."""

    def __init__(self):
        self.keys = []
        self.scores = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.keys.append(batch.key.tolist())

    def on_validation_end(self, trainer, pl_module):
        self.scores.append(trainer.callback_metrics["val/r2/tiny"].item())


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


@pytest.fixture(scope="module")
def uninterrupted(parts_in, tmp_path_factory):
    watch = Watch()
    return parts_in(tmp_path_factory.mktemp("whole"), [watch]).fit(), watch


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("step", [1, 4, 5])  # in mid-epoch, in the last step of one, in the first
def test_interrupted_equals_uninterrupted(parts, uninterrupted, step, number, code):
    before, after = Watch(), Watch()
    with pytest.raises(SystemExit) as stop:
        parts([before, Interrupt(step, number)]).fit()
    assert stop.value.code == code
    weights = parts([after]).fit()
    assert len(before.keys) == step + 1  # the step in which the signal came was finished
    assert before.keys + after.keys == uninterrupted[1].keys
    assert before.scores + after.scores == uninterrupted[1].scores
    assert_same(weights, uninterrupted[0])


@pytest.mark.parametrize("every", [3, 5])
def test_a_killed_run_goes_on_from_its_last_checkpoint(parts, uninterrupted, every):
    class Killed(Exception):
        pass

    class Kill(pl.Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            if trainer.global_step == 7:
                raise Killed

    with pytest.raises(Killed):
        parts([Kill()], every=every).fit()
    assert_same(parts(every=every).fit(), uninterrupted[0])


def test_callbacks_change_nothing(parts, uninterrupted):
    assert_same(parts([Throughput()], every=1).fit(), uninterrupted[0])


def test_the_ends_of_training_do_not_depend_on_the_global_random_state(parts, uninterrupted):
    class Disturb(pl.Callback):
        def on_train_batch_end(self, *args):
            torch.rand(3)

    assert_same(parts([Disturb()]).fit(), uninterrupted[0])


def test_signals_are_given_back(parts):
    before = signal.getsignal(signal.SIGINT)
    parts(epochs=1).fit()
    assert signal.getsignal(signal.SIGINT) is before
