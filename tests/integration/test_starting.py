"""Runs that begin with the weights of an earlier model, or go on from a checkpoint."""

import shutil

import pytest
import torch
from omegaconf import OmegaConf

from mzsane.models import Sane
from mzsane.starting import checkpoint_of, start_from

SIZES = {"d_model": 16, "heads": 2, "layers": 1, "latent": 4}
SETTINGS = {**SIZES, "positions": "relative", "layer_kind": True}  # those of `parts_in`


def sane(**changes):
    torch.manual_seed(1)
    return Sane(**{"d_token": 201, "window": 48, **SETTINGS, **changes})


@pytest.fixture(scope="module")
def run(parts_in, tmp_path_factory):
    """A run folder with the checkpoint of a short training."""
    folder = tmp_path_factory.mktemp("run")
    parts_in(folder, epochs=1).fit()
    model = {"_target_": "mzsane.models.Sane", **SETTINGS, "dropout": 0.1}
    OmegaConf.save({"model": model, "data": {"window": 48}}, folder / "config.yaml")
    return folder


@pytest.fixture(scope="module")
def trained(run):
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return {name.removeprefix("model."): tensor for name, tensor in state.items()}


def assert_has(model, state):
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("where", ["", "checkpoints/last.ckpt", "exported"])
def test_a_run_a_checkpoint_and_a_folder_give_their_weights(run, trained, where):
    if where == "exported" and not (run / where).exists():
        model = sane()
        model.load_state_dict(trained)
        model.save_pretrained(run / where)
    model = sane()
    start_from(model, str(run / where))
    assert_has(model, trained)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_nothing_to_start_from_changes_nothing():
    model = sane()
    start_from(model, None)
    assert_has(model, sane().state_dict())


def test_a_head_that_means_takes_any_window(run):
    model, wide = sane(pooling="mean"), sane(pooling="mean", window=64)
    model.save_pretrained(run / "mean")
    start_from(wide, str(run / "mean"))
    assert_has(wide, model.state_dict())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"d_model": 32}, "its d_model is 16, this run's 32; set model.d_model"),
        ({"heads": 4}, "its heads is 2, this run's 4; set model.heads"),
        ({"layers": 2}, "its layers is 1, this run's 2"),
        ({"d_token": 64}, "its d_token is 201, this run's 64; set tokens.size"),
        ({"window": 32}, "its window is 48, this run's 32; set data.window"),
        ({"positions": "learned", "max_positions": [90, 9, 90]}, "its positions is relative"),
    ],
)
def test_another_size_is_named_with_both(run, changes, sentence):
    model = sane(**changes)
    with pytest.raises(ValueError, match=sentence) as caught:
        start_from(model, str(run))
    assert str(run) in str(caught.value)
    assert_has(model, sane(**changes).state_dict())


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        start_from(sane(), str(tmp_path / "nothing"))


def test_a_run_goes_on_from_its_checkpoint_or_has_none(run, tmp_path):
    assert checkpoint_of(run, sane()) == run / "checkpoints" / "last.ckpt"
    assert checkpoint_of(tmp_path, sane()) is None


def test_a_checkpoint_of_another_size_is_refused_and_kept(run, tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    shutil.copytree(run / "checkpoints", path.parent)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"last\.ckpt: .* embed\.weight has the shape \[16, 201\]"):
        checkpoint_of(tmp_path, sane(d_model=32))
    assert path.read_bytes() == before


def test_a_checkpoint_that_is_cut_short_is_refused(run, tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.parent.mkdir()
    path.write_bytes((run / "checkpoints" / "last.ckpt").read_bytes()[:1000])
    with pytest.raises(ValueError, match="damaged or cut short; remove it"):
        checkpoint_of(tmp_path, sane())
