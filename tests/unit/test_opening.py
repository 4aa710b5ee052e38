"""An autoencoder is opened from wherever it lies, with the zoo that it was trained on."""

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mzsane.config import CONF_DIR
from mzsane.models import Sane
from mzsane.opened_zoo import sections_of
from mzsane.opening import hash_of, open_model
from mzsane.schemas import register_schemas

MODEL = {"d_model": 16, "heads": 2, "layers": 1, "latent": 4, "positions": "sinusoidal"}


def sane(seed=0, d_token=20):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Sane(d_token, window=16, **MODEL).eval()


def save_checkpoint(path, model):
    state = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state, "global_step": 3}, path)


@pytest.fixture
def run(tmp_path):
    """A run's folder, with a last checkpoint only."""
    cfg = configured("zoo=digits", "zoo.num_models=5", "tokens.size=0", name="train")
    cfg.model = {"_target_": "mzsane.models.Sane", **MODEL}
    cfg.data.window = 16
    for group in ("callbacks", "logger", "trainer"):  # refer to a running Hydra
        cfg[group] = {}
    OmegaConf.save(cfg, tmp_path / "config.yaml")
    save_checkpoint(tmp_path / "checkpoints" / "last.ckpt", sane())
    return tmp_path


def configured(*overrides, name="preprocess"):
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose(name, list(overrides))
    OmegaConf.set_struct(cfg, False)
    return cfg


def test_a_run_gives_its_best_checkpoint_or_else_its_last(run):
    last = open_model(run)
    assert last.name == str(run / "checkpoints" / "last.ckpt")
    assert last.cfg.zoo.num_models == 5
    save_checkpoint(run / "checkpoints" / "best.ckpt", sane(1))
    best = open_model(run)
    assert best.name == str(run / "checkpoints" / "best.ckpt")
    assert best.hash != last.hash == hash_of(sane()) == open_model(last.name).hash


def test_a_model_has_one_hash_wherever_it_lies(run, tmp_path):
    opened = open_model(run)
    opened.model.save_pretrained(tmp_path / "kept")
    kept = open_model(tmp_path / "kept")
    assert kept.hash == opened.hash
    assert kept.cfg is None


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (None, "which autoencoder"),
        ("nowhere/run/checkpoints/best.ckpt", "there is no such file; give a checkpoint"),
        ("/no/where", "there is nothing; give a run folder"),
        ("nowhere", "there is nothing; give a run folder"),
    ],
)
def test_what_is_not_there_is_named(where, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        open_model(where)


def test_a_folder_above_runs_says_what_it_lacks(run):
    with pytest.raises(FileNotFoundError, match=r"neither the folder of a run .* name the run"):
        open_model(run.parent)


def test_a_run_without_checkpoints_says_so(run):
    (run / "checkpoints" / "last.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match="no checkpoint yet"):
        open_model(run)


def test_a_command_works_on_the_zoo_of_the_run_with_what_it_says_about_it(run):
    asked = configured("~zoo", "~tokens", "zoo.epochs=[8]", "workers=1")
    used = sections_of(open_model(run), asked)
    assert list(used.zoo.sources) == ["digits"]
    assert (used.zoo.num_models, list(used.zoo.epochs), used.workers) == (5, [8], 1)
    assert used.tokens.size == 0  # as its stores were written


def test_a_zoo_that_a_command_names_takes_tokens_of_the_models_size(run):
    asked = configured("zoo=printed", "~tokens")
    used = sections_of(open_model(run), asked)
    assert list(used.zoo.sources) == ["printed"]
    assert used.tokens == {"size": 20, "scheme": "channel", "batchnorm": "rows"}
    assert used.zoo.num_models is None


def test_without_a_run_the_zoo_must_be_named(run, tmp_path):
    open_model(run).model.save_pretrained(tmp_path / "kept")
    with pytest.raises(ValueError, match="name one, for example zoo=digits"):
        sections_of(open_model(tmp_path / "kept"), configured("~zoo", "~tokens"))
