"""Repositories of the Hugging Face hub: from a server on this machine, and from its cache."""

import json
import sys

import pytest
import torch
from safetensors.torch import save

from mzsane.zoos import read_zoo
from mzsane.zoos.reading.hub import fetch_repository, find_snapshot, is_repository

STATE = {"layer.weight": torch.eye(2)}
FILES = {
    "config.json": json.dumps({"hidden_size": 2, "layers": ["a"]}).encode(),
    "model.safetensors": save(STATE),
    "optimizer.pt": b"state of the optimizer",
    "README.md": b"# A model",
    "flax_model.msgpack": b"weights of another framework",
}


@pytest.fixture
def net(hub):
    """A repository with one model."""
    return hub("owner/net", FILES, branches=("main", "v1"))


@pytest.mark.parametrize("text", ["owner/net", "hf://owner/net", "owner/net@v1"])
def test_a_repository_is_read_and_its_revision_recorded(net, text):
    (record,) = read_zoo(text)
    assert (record.model, record.epoch) == ("owner/net", 0)
    assert torch.equal(record.load()["layer.weight"], STATE["layer.weight"])
    assert record.properties == {"config::hidden_size": 2.0}
    assert record.provenance["repository"] == "hf://owner/net"
    assert record.provenance["revision"] == "c" * 40


def test_only_weights_and_tables_are_fetched(net):
    snapshot = fetch_repository("owner/net")
    found = {path.name for path in snapshot.folder.iterdir()}
    assert found == {"config.json", "model.safetensors"}


def test_without_connection_the_cache_has_to_do(net, disconnect):
    fetched = fetch_repository("owner/net")
    disconnect()
    assert fetch_repository("owner/net") == fetched


INDEX = json.dumps({"weight_map": {"layer.weight": "model-00001-of-00001.safetensors"}}).encode()
TWINS = {
    "one file": ({"model.safetensors": save(STATE)}, {"pytorch_model.bin": b"pickle"}),
    "shards": (
        {
            "model.safetensors.index.json": INDEX,
            "model-00001-of-00001.safetensors": save(STATE),
        },
        {
            "pytorch_model.bin.index.json": INDEX,
            "pytorch_model-00001-of-00002.bin": b"pickle",
            "pytorch_model-00002-of-00002.bin": b"pickle",
        },
    ),
    "epochs": (
        {"a_epoch_1.safetensors": save(STATE), "b[1]/model.safetensors": save(STATE)},
        {"a_epoch_1.pt": b"pickle", "b[1]/model.bin": b"pickle"},
    ),
}


@pytest.mark.parametrize("twins", TWINS)
def test_pickles_of_what_is_there_as_safetensors_stay_away(hub, disconnect, twins):
    safetensors, pickles = TWINS[twins]
    hub("owner/both", safetensors | pickles)
    snapshot = fetch_repository("owner/both")
    files = {p.relative_to(snapshot.folder).as_posix() for p in snapshot.folder.rglob("*.*")}
    assert files == set(safetensors)
    members = list(read_zoo("owner/both"))
    assert all(torch.equal(member.load()["layer.weight"], torch.eye(2)) for member in members)
    disconnect()
    assert fetch_repository("owner/both") == snapshot


def test_pickles_of_other_models_and_epochs_come(hub):
    pickles = {"a_epoch_2.pt": b"pickle", "b.pth": b"pickle", "c/pytorch_model.bin": b"pickle"}
    hub("owner/some", {"a_epoch_1.safetensors": save(STATE), **pickles})
    folder = fetch_repository("owner/some").folder
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*.*")} > set(pickles)


def test_pickles_alone_are_read_from_the_cache(hub, disconnect):
    hub("owner/old", {"pytorch_model.bin": b"pickle"})
    snapshot = fetch_repository("owner/old")
    disconnect()
    assert fetch_repository("owner/old") == snapshot
    assert (snapshot.folder / "pytorch_model.bin").is_file()


def test_what_cannot_be_fetched_is_told_in_a_sentence(net, disconnect):
    with pytest.raises(FileNotFoundError, match=r"^hf://owner/other: it cannot be fetched"):
        read_zoo("hf://owner/other")
    with pytest.raises(FileNotFoundError, match=r"owner/other: there is no such folder, and it"):
        read_zoo("owner/other")
    disconnect()
    with pytest.raises(FileNotFoundError, match=r"check its name, your access .* connection$"):
        read_zoo("owner/net")


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'mzsane\[hub\]'"):
        read_zoo("owner/net")


def test_what_names_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in ("owner/name", "owner/name@refs/pr/1", "hf://owner/name", "a-b/c.d_e"):
        assert is_repository(text), text
    for text in ("name", "/absolute/path", "a/b/c", "./a", "../zoo", "a/b.zip/c", "owner/na me"):
        assert not is_repository(text), text
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert not is_repository("owner/name")
    assert is_repository("hf://owner/name")
    with pytest.raises(ValueError, match="names no repository"):
        fetch_repository("hf://name")


def cached(folder, *revisions, main=None):
    """A repository as the hub's cache lays it out."""
    root = folder / "models--owner--net"
    (root / "blobs").mkdir(parents=True)
    (root / "blobs" / "1f").write_bytes(save(STATE))
    for revision in revisions:
        (root / "snapshots" / revision).mkdir(parents=True)
        (root / "snapshots" / revision / "model.safetensors").symlink_to("../../blobs/1f")
    if main:
        (root / "refs").mkdir()
        (root / "refs" / "main").write_text(main)
    return root


def test_a_snapshot_in_the_cache_is_known_by_repository_and_revision(tmp_path):
    root = cached(tmp_path, "aaa", "bbb", main="bbb")
    for folder, revision in ((root, "bbb"), (root / "snapshots" / "aaa", "aaa")):
        (record,) = read_zoo(folder)
        assert record.model == "owner/net"
        assert record.provenance["revision"] == revision
        assert torch.equal(record.load()["layer.weight"], STATE["layer.weight"])


def test_a_cache_with_several_revisions_and_no_main_branch_is_refused(tmp_path):
    root = cached(tmp_path, "aaa", "bbb")
    with pytest.raises(FileNotFoundError, match=r"has no snapshot of its main branch.*aaa.*bbb"):
        find_snapshot(root)


def test_the_only_revision_needs_no_branch(tmp_path):
    assert find_snapshot(cached(tmp_path, "aaa")).revision == "aaa"


def test_other_folders_are_no_snapshots(tmp_path):
    (tmp_path / "snapshots" / "a").mkdir(parents=True)
    assert find_snapshot(tmp_path) is None
    assert find_snapshot(tmp_path / "snapshots" / "a") is None
