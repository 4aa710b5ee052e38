"""Interrupted equals uninterrupted, and watching changes nothing."""

import os
import signal

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging

from mzsane.callbacks import Finite, SampleAndEvaluate, Throughput
from mzsane.evaluation import Study, read_rows
from mzsane.images import digits
from mzsane.sampling import Gaussian


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

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
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


class Shares(pl.Callback):
    """Remembers how much of each epoch came from each source."""

    def __init__(self):
        self.logged = []

    def on_train_epoch_start(self, trainer, pl_module):
        self.remember(trainer)

    def on_fit_end(self, trainer, pl_module):
        self.remember(trainer)

    def remember(self, trainer):
        metrics = trainer.callback_metrics
        if "train/share/a" in metrics:  # an epoch has ended in this process
            self.logged.append([metrics[f"train/share/{name}"].item() for name in "ab"])


@pytest.mark.parametrize("step", [1, 4, 5])
def test_an_interruption_changes_no_share_of_a_source(parts, parts_in, tmp_path, step):
    shares = [Shares() for _ in range(3)]
    parts_in(tmp_path / "whole", [shares[0]], sources=("a", "b"), batch_size=3).fit()
    callbacks = [shares[1], Interrupt(step, signal.SIGINT)]
    with pytest.raises(SystemExit):
        parts(callbacks, sources=("a", "b"), batch_size=3).fit()
    parts([shares[2]], sources=("a", "b"), batch_size=3).fit()
    first, last = shares[0].logged
    assert first != last
    assert [sum(epoch) for epoch in (first, last)] == pytest.approx([1, 1])
    assert shares[2].logged[-1] == last
    assert first in shares[1].logged + shares[2].logged


@pytest.mark.parametrize("step", [1, 4, 5])
def test_averaged_weights_go_on_as_if_uninterrupted(parts, parts_in, tmp_path, step):
    averages = [EMAWeightAveraging(use_buffers=False, decay=0.9) for _ in range(3)]
    watches = [Watch() for _ in range(3)]
    whole = parts_in(tmp_path / "whole", [averages[0], watches[0]]).fit()
    with pytest.raises(SystemExit):
        # a Checkpoint has its turn after the average even where it comes first
        parts([Interrupt(step, signal.SIGTERM), watches[1], averages[1]]).fit()
    assert_same(parts([watches[2], averages[2]]).fit(), whole)
    assert watches[1].scores + watches[2].scores == watches[0].scores


@pytest.mark.parametrize("step", [0, 1, 2])
def test_averages_of_accumulated_steps_go_on_as_if_uninterrupted(parts, parts_in, tmp_path, step):
    def average():
        return EMAWeightAveraging(use_buffers=False, decay=0.9)

    settings = {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5}
    whole = parts_in(tmp_path / "whole", [average()], **settings).fit()
    with pytest.raises(SystemExit) as stop:
        parts([average(), Interrupt(step, signal.SIGTERM)], **settings).fit()
    assert stop.value.code == 143
    assert_same(parts([average()], **settings).fit(), whole)


def test_what_is_averaged_is_what_remains(parts, uninterrupted):
    averaged = parts([EMAWeightAveraging(use_buffers=False, decay=0.9)]).fit()
    name = "model.embed.weight"
    assert not torch.allclose(averaged[name], uninterrupted[0][name])


@pytest.mark.parametrize("step", [0, 1, 2])
def test_accumulated_gradients_are_never_cut_in_two(parts, parts_in, tmp_path, step):
    whole = parts_in(tmp_path / "whole", accumulate_grad_batches=2).fit()

    class Early(pl.Callback):
        """Sends a signal while gradients are accumulated."""

        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if (trainer.global_step, batch_idx % 2) == (step, 0):
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit):
        parts([Early()], accumulate_grad_batches=2).fit()
    assert_same(parts(accumulate_grad_batches=2).fit(), whole)


def test_callbacks_change_nothing(parts, store, uninterrupted, tmp_path):
    table = tmp_path / "results.csv"
    study = Study(
        {"tiny": store}, {"digits": digits}, {"gaussian": Gaussian()}, methods=["gaussian"],
        num_anchors=2, num_samples=2, workers=1,
    )  # fmt: skip
    watching = [Throughput(), Finite(), SampleAndEvaluate(study, table, every_n_epochs=1)]
    assert_same(parts(watching, every=1).fit(), uninterrupted[0])
    assert len({row["step"] for row in read_rows(table)}) == 2, "after each epoch"


def test_the_ends_of_training_do_not_depend_on_the_global_random_state(parts, uninterrupted):
    class Disturb(pl.Callback):
        def on_train_batch_end(self, *args):
            torch.rand(3)

    assert_same(parts([Disturb()]).fit(), uninterrupted[0])


def test_signals_are_given_back(parts):
    before = signal.getsignal(signal.SIGINT)
    parts(epochs=1).fit()
    assert signal.getsignal(signal.SIGINT) is before
