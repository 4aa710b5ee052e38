"""What tests of zoos share."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha1
from urllib.parse import unquote

import pytest

COMMIT = "c" * 40


@pytest.fixture
def hub(server, monkeypatch, tmp_path):
    """The server as the Hugging Face hub, with a cache of this test's own.

    Returns:
        a function that puts a repository there, of one commit, under its branches; it returns the
        server.
    """
    library = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(library, "HfApi", partial(library.HfApi, endpoint=server.url))
    monkeypatch.setattr(library.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    server.server.RequestHandlerClass.do_HEAD = _head

    def publish(repository: str, files: Mapping[str, bytes], branches=("main",)):
        names = [{"rfilename": name} for name in files]
        info = {"id": repository, "sha": COMMIT, "siblings": names}
        tree = [
            {"type": "file", "path": name, "size": len(body), "oid": sha1(body).hexdigest()}
            for name, body in files.items()
        ]
        interface = f"api/models/{repository}"
        server.files |= {f"{repository}/resolve/{COMMIT}/{n}": body for n, body in files.items()}
        for branch in (*branches, COMMIT):
            server.files[f"{interface}/revision/{branch}"] = json.dumps(info).encode()
        server.files[f"{interface}/tree/{COMMIT}"] = json.dumps(tree).encode()
        return server

    return publish


@pytest.fixture
def disconnect(monkeypatch) -> Callable[[], None]:
    """Ends the connection to the hub."""
    library = pytest.importorskip("huggingface_hub")

    def end():
        dead = partial(library.HfApi, endpoint="http://127.0.0.1:9")
        monkeypatch.setattr(library, "HfApi", dead)

    return end


def _head(handler):
    """What the hub tells of a file before it is fetched."""
    body = handler.zoo.files.get(unquote(handler.path.lstrip("/")))
    handler.send_response(404 if body is None else 200)
    handler.send_header("ETag", f'"{sha1(body or b"").hexdigest()}"')
    handler.send_header("X-Repo-Commit", COMMIT)
    handler.send_header("Content-Length", str(len(body or b"")))
    handler.end_headers()
