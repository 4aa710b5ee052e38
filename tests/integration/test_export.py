"""`python -m mzsane.export` on a run's checkpoint, and on what is none."""

import shutil
import sys

import pytest
import torch
from omegaconf import OmegaConf

from mzsane.export import main
from mzsane.models import Sane


@pytest.fixture
def run(parts, store, tmp_path):
    """A run folder with the checkpoint of a short training."""
    parts(epochs=1).fit()
    model = {
        "_target_": "mzsane.models.Sane", "d_model": 16, "heads": 2, "layers": 1, "latent": 4,
        "positions": "relative", "layer_kind": True, "dropout": 0.1,
    }  # fmt: skip
    cfg = {
        "seed": 5,
        "model": model,
        "data": {"window": 48, "batch_size": 4},
        "tokens": {"size": 201},
        "zoo": {"sources": {"tiny": {"store": str(store.path)}}, "num_models": 3}
        | {"epochs": None, "filters": {}},
    }
    OmegaConf.save(cfg, tmp_path / "config.yaml")
    logs = tmp_path / "logs" / "csv" / "version_0"
    logs.mkdir(parents=True)
    (logs / "metrics.csv").write_text("epoch,step,val/loss\n0,4,0.5\n1,5,0.25\n")
    return tmp_path


@pytest.fixture
def export(monkeypatch):
    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["mzsane.export", *map(str, arguments)])
        main()

    return command


def test_a_checkpoint_becomes_a_folder_with_its_weights_and_its_story(run, export):
    export(run / "checkpoints" / "last.ckpt", run / "out", "--licence", "mit")
    trained = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    found = Sane.from_pretrained(run / "out").state_dict()
    assert all(torch.equal(found[n.removeprefix("model.")], t) for n, t in trained.items())
    text = (run / "out" / "README.md").read_text()
    rows = ["| training models | 3 |", "| checkpoints of them | 3 |", "| seed | 5 |"]
    assert all(row in text for row in [*rows, "| steps | 5 |", "| architectures | cnn |"])
    assert "| val/loss | 0.5 |" in text  # what was logged after the checkpoint is not of it
    assert "license: mit" in text


def test_without_its_store_a_run_is_exported_with_what_was_asked_for(run, export):
    cfg = OmegaConf.load(run / "config.yaml")
    cfg.zoo.sources.tiny.store = str(run / "gone.h5")
    OmegaConf.save(cfg, run / "config.yaml")
    shutil.rmtree(run / "logs")
    export(run / "checkpoints" / "last.ckpt", run / "out")
    text = (run / "out" / "README.md").read_text()
    assert "| training models | 3 |" in text
    assert "## Metrics" not in text


def change(**changes):
    def act(run):
        cfg = OmegaConf.load(run / "config.yaml")
        cfg.model.update(changes)
        OmegaConf.save(cfg, run / "config.yaml")

    return act


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (change(latent=8), "compress.weight has the shape [4, 16], a model of these settings [8"),
        (change(_target_="mine.Model"), "model._target_ of its run is not mzsane.models.Sane"),
        (lambda run: (run / "config.yaml").unlink(), "config.yaml: there is no such file"),
        (lambda run: (run / "config.yaml").write_text("seed: 1"), "not the record of a run"),
        (lambda run: (run / "checkpoints/last.ckpt").unlink(), "there is no such file"),
        (lambda run: (run / "checkpoints/last.ckpt").write_bytes(b"cut"), "cannot be loaded"),
        (lambda run: torch.save({}, run / "checkpoints/last.ckpt"), "no checkpoint of a run"),
    ],
)
def test_what_cannot_be_exported_is_named_in_one_sentence(run, export, act, message):
    act(run)
    with pytest.raises(SystemExit) as stop:
        export(run / "checkpoints" / "last.ckpt", run / "out")
    assert message in stop.value.code
    assert stop.value.code.startswith("mzsane: ")
    assert "\n" not in stop.value.code
    assert not (run / "out").exists()
