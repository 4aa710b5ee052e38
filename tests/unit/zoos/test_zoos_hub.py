"""Repositories of the Hugging Face hub: from a server on this machine, and from its cache."""

import json
import sys
from functools import partial

import pytest
import torch
from safetensors.torch import save

from mzsane.zoos import read_zoo
from mzsane.zoos.hub import fetch_repository, find_snapshot, is_repository

COMMIT = "c" * 40
STATE = {"layer.weight": torch.eye(2)}
FILES = {
    "config.json": json.dumps({"hidden_size": 2, "layers": ["a"]}).encode(),
    "model.safetensors": save(STATE),
    "optimizer.pt": b"state of the optimizer",
    "README.md": b"# A model",
    "flax_model.msgpack": b"weights of another framework",
}


@pytest.fixture
def hub(server, monkeypatch, tmp_path):
    """What the hub answers about ``owner/net``, with a cache of this test's own."""
    library = pytest.importorskip("huggingface_hub")
    settings = {"endpoint": server.url, "cache_dir": tmp_path / "cache"}
    monkeypatch.setattr(
        library, "snapshot_download", partial(library.snapshot_download, **settings)
    )
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")

    def head(handler):
        body = server.files.get(handler.path.lstrip("/"))
        handler.send_response(404 if body is None else 200)
        handler.send_header("ETag", f'"{abs(hash(handler.path)):040x}"')
        handler.send_header("X-Repo-Commit", COMMIT)
        handler.send_header("Content-Length", str(len(body or b"")))
        handler.end_headers()

    server.server.RequestHandlerClass.do_HEAD = head
    tree = [{"type": "file", "path": n, "size": len(b), "oid": "e" * 40} for n, b in FILES.items()]
    info = {"id": "owner/net", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
    server.files = {f"owner/net/resolve/{COMMIT}/{name}": body for name, body in FILES.items()}
    for revision in ("main", "v1"):
        server.files[f"api/models/owner/net/revision/{revision}"] = json.dumps(info).encode()
    server.files[f"api/models/owner/net/tree/{COMMIT}"] = json.dumps(tree).encode()
    return server


def disconnect(monkeypatch):
    """Nobody answers any more."""
    library = pytest.importorskip("huggingface_hub")
    dead = partial(library.snapshot_download, endpoint="http://127.0.0.1:9")
    monkeypatch.setattr(library, "snapshot_download", dead)


@pytest.mark.parametrize("text", ["owner/net", "hf://owner/net", "owner/net@v1"])
def test_a_repository_is_read_and_its_revision_recorded(hub, text):
    (record,) = read_zoo(text)
    assert (record.model, record.epoch) == ("owner/net", 0)
    assert torch.equal(record.load()["layer.weight"], STATE["layer.weight"])
    assert record.properties == {"config::hidden_size": 2.0}
    assert record.provenance["repository"] == "hf://owner/net"
    assert record.provenance["revision"] == COMMIT


def test_only_weights_and_tables_are_fetched(hub):
    snapshot = fetch_repository("owner/net")
    found = {path.name for path in snapshot.folder.iterdir()}
    assert found == {"config.json", "model.safetensors"}


def test_without_connection_the_cache_has_to_do(hub, monkeypatch):
    fetched = fetch_repository("owner/net")
    disconnect(monkeypatch)
    assert fetch_repository("owner/net") == fetched


def test_what_cannot_be_fetched_is_told_in_a_sentence(hub, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"^hf://owner/other: it cannot be fetched"):
        read_zoo("hf://owner/other")
    with pytest.raises(FileNotFoundError, match=r"owner/other: there is no such folder, and it"):
        read_zoo("owner/other")
    disconnect(monkeypatch)
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
