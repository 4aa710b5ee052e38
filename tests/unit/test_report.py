"""What a finished run says of itself."""

import sys

import pytest

from mzsane.report import origin, report


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["/here/mzsane/train.py", "seed=1"], "python -m mzsane.train seed=1"),
        (["/bin/mzsane", "zoo.mix={digits: 1}"], "mzsane 'zoo.mix={digits: 1}'"),
    ],
)
def test_the_command_can_be_given_again(monkeypatch, arguments, command):
    monkeypatch.setattr(sys, "argv", arguments)
    assert origin()["command"] == command


def test_a_run_that_only_trained_is_finished(tmp_path):
    logs = tmp_path / "logs" / "csv" / "version_0"
    logs.mkdir(parents=True)
    (logs / "metrics.csv").write_text("epoch,step,train/loss\n0,9,0.5\n")
    report(tmp_path, {})
    assert "train/loss" in (tmp_path / "summary.md").read_text()


def test_a_run_that_was_stopped_before_it_logged_anything_is_finished(tmp_path):
    (tmp_path / "logs" / "csv" / "version_0").mkdir(parents=True)
    report(tmp_path, {"seed": 0})
    assert (tmp_path / "summary.md").exists()
    assert not (tmp_path / "metrics.csv").exists()
