"""Ctrl-C leaves whole trials and a quiet terminal, and the same command goes on from there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import torch

from mzsane.architectures import Architecture
from mzsane.images import ImageSet, Split
from mzsane.populations import Recipe
from mzsane.zoos import Builder, read_trials

MODELS = 12


def noise():
    """Images without meaning."""
    generator = torch.Generator().manual_seed(0)
    splits = [
        Split(torch.randn(n, 1, 28, 28, generator=generator), torch.arange(n) % 10)
        for n in (600, 10, 20)
    ]
    return ImageSet("noise", *splits, classes=10)


def build(folder, workers, progress=None):
    architecture = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
    recipe = Recipe(batch_size=20, epochs=2)
    builder = Builder(folder, noise, architecture, MODELS, recipe, [2], workers=workers)
    builder.build(*[progress] if progress else [])


def press_ctrl_c(stage, done, total):
    """Once a model is done; as in a terminal, the signal reaches all processes of the build."""
    if done == 1:
        os.killpg(0, signal.SIGINT)


def interrupted_build(folder):
    """A build by two processes, sent Ctrl-C once a model is done; its exit code and errors."""
    code = (
        f"import test_zoos_interrupting as test;test.build({str(folder)!r}, 2, test.press_ctrl_c)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        start_new_session=True,  # or the signal would reach the tests
    )
    return process.returncode, process.stderr


def weights(folder):
    """Every checkpoint's bits by model."""
    return {
        record.model: torch.cat([t.flatten() for t in record.load().values()]).numpy().tobytes()
        for record in read_trials(folder)
    }


def test_an_interrupted_build_goes_on_to_the_same_bits(tmp_path):
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    code, errors = interrupted_build(interrupted)
    assert code != 0
    assert errors.count("Traceback") == 1, f"the processes had something to say:\n{errors}"
    assert "Warning" not in errors
    left = {path.name for path in interrupted.iterdir()}
    trials = {name for name in left if name.startswith("trial_")}
    assert left - trials - {".lock"} == {"zoo.json"}, "something half done was left"
    assert 1 <= len(trials) < MODELS
    begun = weights(interrupted)
    build(interrupted, 1)
    build(whole, 1)
    assert begun.keys() == trials
    assert begun.items() <= weights(interrupted).items()
    assert weights(interrupted) == weights(whole)
    assert len(weights(whole)) == MODELS
