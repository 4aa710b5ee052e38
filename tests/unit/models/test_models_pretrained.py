"""What is saved is loaded, from a folder, the hub or a published file; other things are named."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mzsane.models import Card, Sane

SIZES = {"d_token": 6, "d_model": 16, "heads": 2, "layers": 2, "latent": 4, "window": 5}
GOLDEN = Path(__file__).parents[2] / "golden"
CARD = Card(
    zoo={"digits": {"models": 70, "checkpoints": 350}},
    training={"seed": 3, "steps": 800},
    metrics={"val/r2/digits": 0.91234},
    licence="mit",
)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Sane(**SIZES, positions="sinusoidal", pooling="mean", dropout=0.1)


@pytest.fixture
def folder(model, tmp_path):
    model.save_pretrained(tmp_path / "saved", CARD)
    return tmp_path / "saved"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The hub at the library's door: what is uploaded to it can be fetched from it."""
    library = pytest.importorskip("huggingface_hub")
    asked = SimpleNamespace(private=None, revisions=[])

    class Hub:
        def create_repo(self, repository, *, private, exist_ok):
            assert exist_ok
            asked.private = private
            (tmp_path / "hub" / repository).mkdir(parents=True, exist_ok=True)

        def upload_folder(self, *, repo_id, folder_path, commit_message):
            for path in Path(folder_path).iterdir():
                (tmp_path / "hub" / repo_id / path.name).write_bytes(path.read_bytes())
            return SimpleNamespace(commit_url=f"hub/{repo_id}/commit/1")

        def snapshot_download(self, repository, *, revision, allow_patterns):
            asked.revisions.append(revision)
            found = tmp_path / "hub" / repository
            if not found.is_dir():
                raise OSError("404")
            return str(found)

    monkeypatch.setattr(library, "HfApi", Hub)
    return asked


def equal(a, b):
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[n], theirs[n]) for n in ours)


@pytest.mark.parametrize(
    "kind",
    [
        {"positions": "sinusoidal"},
        {"max_positions": (20, 4, 6)},
        {"positions": "relative", "layer_kind": True},
    ],
)
def test_a_saved_model_is_loaded_bit_for_bit(kind, tmp_path):
    model = Sane(**SIZES, **kind)
    model.save_pretrained(tmp_path / "saved")
    before = torch.get_rng_state()
    loaded = Sane.from_pretrained(str(tmp_path / "saved"))
    assert torch.equal(torch.get_rng_state(), before)
    assert equal(model, loaded)
    assert not loaded.training
    assert all(p.requires_grad and p.device.type == "cpu" for p in loaded.parameters())
    assert loaded.settings == json.loads(json.dumps(model.settings))


def test_a_loaded_model_is_saved_the_same(folder, tmp_path):
    Sane.from_pretrained(folder).save_pretrained(tmp_path / "again", CARD)
    for path in folder.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()
    assert {p.name for p in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_the_page_tells_what_is_known_and_nothing_else(model, folder, tmp_path):
    text = (folder / "README.md").read_text()
    assert text.startswith("---\nlibrary_name: mzsane\nlicense: mit\n")
    rows = ["| models | 70 |", "| seed | 3 |", "| val/r2/digits | 0.9123 |", "| d_model | 16 |"]
    assert all(row in text for row in rows)
    assert f"{model.num_parameters:,} parameters" in text
    model.save_pretrained(tmp_path)
    bare = (tmp_path / "README.md").read_text()
    assert not any(word in bare for word in ("license", "## Zoo", "## Metrics", "## Training"))


def test_what_is_pushed_is_loaded_from_the_hub(model, hub):
    assert model.push_to_hub("owner/sane", CARD) == "hub/owner/sane/commit/1"
    assert hub.private is True
    assert equal(Sane.from_pretrained("owner/sane@v1"), model)
    assert hub.revisions == ["v1"]


def test_a_hub_that_has_or_takes_nothing_is_told_in_a_sentence(model, hub, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"owner/none: there is no such folder.*fetched"):
        Sane.from_pretrained("owner/none")
    library = sys.modules["huggingface_hub"]
    monkeypatch.setattr(library.HfApi, "create_repo", refuse)
    with pytest.raises(FileNotFoundError, match="does not take it"):
        model.push_to_hub("owner/sane")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'mzsane\[hub\]'"):
        model.push_to_hub("owner/sane")


def refuse(*arguments, **named):
    raise OSError("403")


@pytest.mark.parametrize("prefix", ["", "model.", "module._orig_mod."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_a_published_file_is_loaded(prefix, wrapper, tmp_path):
    state = load_file(GOLDEN / "autoencoder_weights.safetensors")
    named = {prefix + name: tensor for name, tensor in state.items()}
    torch.save({wrapper: named} if wrapper else named, tmp_path / "state.pt")
    loaded = Sane.from_pretrained(tmp_path / "state.pt", heads=4)
    assert equal(loaded, Sane.from_published(state, heads=4))


def test_a_published_model_can_be_saved_as_ours(tmp_path):
    golden = load_file(GOLDEN / "autoencoder_forward.safetensors")
    model = Sane.from_pretrained(GOLDEN / "autoencoder_weights.safetensors", heads=4)
    model.save_pretrained(tmp_path)
    latents, values = Sane.from_pretrained(tmp_path)(golden["x"], golden["position"])
    torch.testing.assert_close(latents, golden["z"], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(values, golden["y"], atol=2e-6, rtol=1e-5)


def test_heads_of_a_published_file_must_be_given():
    with pytest.raises(ValueError, match="give heads="):
        Sane.from_pretrained(GOLDEN / "autoencoder_weights.safetensors")


def change_settings(**changes):
    def change(folder):
        config = json.loads((folder / "config.json").read_text())
        config["model"] |= changes
        (folder / "config.json").write_text(json.dumps(config))

    return change


def drop_a_tensor(folder):
    state = load_file(folder / "model.safetensors")
    del state["expand.bias"]
    save_file(state, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_settings(d_model=32), r"embed.weight has the shape \[16, 6\].*\[32, 6\]"),
        (change_settings(layers=3), "encoder.blocks.2.norm_attention.weight is missing"),
        (change_settings(layers=1), "decoder.blocks.1.* is none of the model's tensors"),
        (change_settings(window=9, pooling="concatenate"), "head.layers.0.weight has the shape"),
        (change_settings(future=1), "future.*newer mzsane"),
        (change_settings(heads=3), "not a multiple of heads 3"),
        (drop_a_tensor, "expand.bias is missing"),
        (lambda f: (f / "config.json").write_text("{"), "config.json: not the settings"),
        (lambda f: (f / "config.json").write_text('{"model": 3}'), "config.json: not the settings"),
        (lambda f: (f / "model.safetensors").write_bytes(b"cut"), "model.safetensors: cannot be"),
    ],
)
def test_another_model_is_refused_by_what_differs_first(folder, change, message):
    change(folder)
    with pytest.raises(ValueError, match=message) as error:
        Sane.from_pretrained(folder)
    assert "\n" not in str(error.value)


def test_what_is_no_model_is_refused(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.*config\.json"):
        Sane.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"published names.*mzsane\.export"):
        Sane.from_pretrained(folder / "model.safetensors")


class Code:
    def __reduce__(self):
        return print, ("executed",)


def test_nothing_in_a_file_is_executed(tmp_path, capsys):
    torch.save({"model": Code()}, tmp_path / "state.pt")
    with pytest.raises(ValueError, match="cannot be loaded"):
        Sane.from_pretrained(tmp_path / "state.pt", heads=4)
    assert "executed" not in capsys.readouterr().out


def test_a_folder_cut_off_while_it_is_written_is_not_loaded(model, folder, monkeypatch):
    monkeypatch.setattr("mzsane.models.pretrained.save_file", refuse)
    with pytest.raises(OSError, match="403"):
        model.save_pretrained(folder)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        Sane.from_pretrained(folder)
