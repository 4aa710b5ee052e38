"""Zoos and models of the Hugging Face hub, by repository or from a snapshot on disk."""

import re
from collections.abc import Callable
from functools import partial
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mzsane.zoos.reading.naming import INDEX, SUFFIXES, doubled

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SCHEME = "hf://"
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?")
_CACHED = re.compile(r"models--(.+?)--(.+)")
# weights, and what tells about them; models of the published zoos have weights without a suffix
_WANTED = (
    *(f"*{suffix}" for suffix in SUFFIXES),
    *("*/checkpoints", "*.json", "*.jsonl", "*.csv", "*.zip", "*.tar", "*.tar.*", "*.tgz"),
)
_PICKLES = tuple(f"*{s}{end}" for s in SUFFIXES[1:] for end in ("", INDEX))
_UNWANTED = ("*optimizer*", "*scheduler*", "*rng_state*", "*training_args*", "tokenizer*", "vocab*")


class Snapshot(NamedTuple):
    """One revision of a repository, on disk.

    Attributes:
        folder: with the repository's files.
        repository: its name.
        revision: the commit; empty if not known.
    """

    folder: Path
    repository: str
    revision: str

    @property
    def origin(self) -> dict[str, str]:
        """Where records come from, for their provenance."""
        return {"repository": f"{SCHEME}{self.repository}", "revision": self.revision}


def is_repository(text: str) -> bool:
    """Whether this is ``owner/name``, ``owner/name@revision`` or either behind ``hf://``.

    Without ``hf://`` it is a folder if there is one of this name.
    """
    if text.startswith(SCHEME):
        return True
    return bool(_REPOSITORY.fullmatch(text)) and not Path(text).exists()


def fetch_repository(text: str) -> Snapshot:
    """Bring a repository's weights, small tables and archives into the hub's cache.

    Of weights that are there both as safetensors and as pickles only safetensors come. What the
    cache has is not fetched again, and without a connection it has to do; where it has safetensors,
    nothing tells then whether pickles are missing.

    Args:
        text: see `is_repository`; without a revision, the main branch's latest.

    Raises:
        ValueError: if `text` is not the name of a repository, or huggingface_hub is missing.
        FileNotFoundError: if it cannot be had: no such repository, or no connection.
    """
    name, _, revision = text.removeprefix(SCHEME).partition("@")
    if not _REPOSITORY.fullmatch(name):
        raise ValueError(f"{text!r} names no repository; give {SCHEME}owner/name")
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ValueError(
            f"{text} is on the Hugging Face hub; to read it, pip install 'mzsane[hub]'"
        ) from error
    try:
        folder = _snapshot(HfApi(), name, revision or None)
    # its bases are OSError and the error of whichever HTTP client the hub uses
    except HfHubHTTPError.__bases__ as error:
        missing = "" if text.startswith(SCHEME) else "there is no such folder, and "
        raise FileNotFoundError(
            f"{text}: {missing}it cannot be fetched from the Hugging Face hub "
            f"({type(error).__name__}); check its name, your access to it and the connection"
        ) from error
    return Snapshot(Path(folder), name, Path(folder).name)


def _snapshot(hub: "HfApi", name: str, revision: str | None) -> str:
    """The folder in the cache with all that is wanted."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    fetch = partial(hub.snapshot_download, name, revision=revision, allow_patterns=[*_WANTED])
    try:
        info = hub.repo_info(name, revision=revision or "main")
    except HfHubHTTPError.__bases__ as error:
        try:
            return _cached(partial(fetch, local_files_only=True))
        except LocalEntryNotFoundError:
            raise error from None
    files = [sibling.rfilename for sibling in info.siblings or ()]
    return fetch(ignore_patterns=[*_UNWANTED, *map(escape, doubled(files))])


def _cached(fetch: Callable[..., str]) -> str:
    """The folder, if nothing is missing; of pickles beside safetensors that cannot be told."""
    folder = fetch(ignore_patterns=[*_UNWANTED, *_PICKLES])
    beside = any(Path(folder).rglob("*.safetensors"))
    return folder if beside else fetch(ignore_patterns=[*_UNWANTED])


def find_snapshot(folder: Path) -> Snapshot | None:
    """The snapshot that a folder of the hub's cache is or holds; None for any other folder.

    Of several revisions in ``models--owner--name`` the main branch's is taken.

    Raises:
        FileNotFoundError: if the folder is one of the cache and lacks that revision.
    """
    folder = folder.absolute()
    if folder.parent.name == "snapshots" and (match := _CACHED.fullmatch(folder.parents[1].name)):
        return Snapshot(folder, "/".join(match.groups()), folder.name)
    match = _CACHED.fullmatch(folder.name)
    if match is None or not (folder / "snapshots").is_dir():
        return None
    revisions = sorted(path.name for path in (folder / "snapshots").iterdir())
    main = folder / "refs" / "main"
    alone = revisions[0] if len(revisions) == 1 else ""
    revision = main.read_text().strip() if main.is_file() else alone
    if revision not in revisions:
        raise FileNotFoundError(
            f"{folder} has no snapshot of its main branch, only {revisions}; give one of them"
        )
    return Snapshot(folder / "snapshots" / revision, "/".join(match.groups()), revision)
