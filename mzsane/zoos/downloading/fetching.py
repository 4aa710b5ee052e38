"""Files of a server in a folder: whole, checked, and only those that are missing."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pooch

from mzsane.files import replacing, taking_turns
from mzsane.progress import Progress
from mzsane.zoos.downloading.connection import Connection
from mzsane.zoos.downloading.crowd import at_once
from mzsane.zoos.downloading.transfer import Tell, Transfer

CHECKSUMS = "checksums.json"
_MEGABYTE = 10**6
_LARGE = 10 * _MEGABYTE


class Remote(NamedTuple):
    """A file on a server.

    Attributes:
        url: its address.
        checksum: ``sha256:...`` or ``md5:...``; None if not known beforehand.
        size: in bytes; None if not known beforehand.
    """

    url: str
    checksum: str | None = None
    size: int | None = None


class _Account:
    """How far a download is, counted by several threads and told by one.

    Attributes:
        name: of the download.
        total: files.
        before: files that were there already.
        progress: to be told.
        large: bytes received and in all (None = unknown) of large files, by name.
    """

    def __init__(self, name: str, total: int, before: int, progress: Progress):
        self.name, self.total, self.before, self.progress = name, total, before, progress
        self.large: dict[str, tuple[int, int | None]] = {}

    def received(self, name: str, done: int, total: int | None) -> None:
        """Note the bytes of a file; small ones are counted, not watched."""
        if total is None or total > _LARGE:
            self.large[name] = done, total

    def tell(self, ended: int) -> None:
        """Tell files and megabytes, those of files under way included."""
        self.progress(f"files of {self.name}", self.before + ended, self.total)
        if large := list(self.large.values()):
            totals = [total for _, total in large]
            total = None if None in totals else sum(filter(None, totals)) // _MEGABYTE
            done = sum(done for done, _ in large) // _MEGABYTE
            self.progress(f"megabytes of {self.name}", done, total)


def fetch(
    folder: Path, files: Mapping[str, Remote], connection: Connection, progress: Progress
) -> None:
    """Bring those of `files` that are not in `folder` yet, one process at a time.

    They come several at once; one that the server lacks keeps none of the others away. A checksum
    that is not known beforehand is that of the first file received, written to `checksums.json`
    and compared ever after. Files whose size and date are those recorded are not read again, so
    that a complete folder needs neither server nor lock.

    Raises:
        ValueError: a file differs from its checksum or size; it is removed.
        OSError: a file cannot be had, or not be written.
    """
    pooch.get_logger().setLevel("WARNING")
    records = _read(folder)
    if all(_settled(folder / name, records.get(name), files[name]) for name in files):
        return
    folder.mkdir(parents=True, exist_ok=True)
    waiting = partial(progress, f"waiting for another download of {folder.name}", 0, None)
    with taking_turns(folder / ".download.lock", waiting), _recording(folder) as records:
        _bring_missing(folder, files, records, connection, progress)


def safe(name: str) -> str:
    """The name of a file below a folder.

    Raises:
        ValueError: if it could lie outside.
    """
    path = PurePosixPath(name)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in name:
        raise ValueError(f"{name!r} is no name of a file below the folder of a download")
    return name


def _bring_missing(
    folder: Path,
    files: Mapping[str, Remote],
    records: dict[str, dict[str, Any]],
    connection: Connection,
    progress: Progress,
) -> None:
    missing = [
        name for name in files if not _settled(folder / name, records.get(name), files[name])
    ]
    account = _Account(folder.name, len(files), len(files) - len(missing), progress)
    absent: list[str] = []

    def bring(name: str) -> None:
        tell = partial(account.received, name)
        try:
            records[name] = _bring(folder, name, files[name], records, connection, tell)
        except FileNotFoundError as error:
            absent.append(str(error))

    account.tell(0)
    at_once(connection, bring, missing, account.tell)
    if absent:
        others = f" (of {len(files)} files, it lacks {len(absent)})" if len(absent) > 1 else ""
        raise FileNotFoundError(f"{min(absent)}{others}")


def _bring(
    folder: Path,
    name: str,
    remote: Remote,
    records: Mapping[str, Mapping[str, Any]],
    connection: Connection,
    tell: Tell,
) -> dict[str, Any]:
    """The record of a file, received if it is missing or not what was recorded."""
    checksum = remote.checksum or records.get(name, {}).get("checksum")
    path = folder / safe(name)
    path.parent.mkdir(parents=True, exist_ok=True)  # pooch's way fails if two threads make it
    part = path.with_name(f".{path.name}.part")
    transfer = Transfer(part, connection, remote.size, tell)
    registry = pooch.Pooch(folder, "", registry={name: checksum}, urls={name: remote.url})
    try:
        registry.fetch(name, downloader=transfer)
    except ValueError as error:
        raise ValueError(
            f"{remote.url}: {str(error).partition('. Deleted')[0]}; it was removed: set zoo.mirror "
            f"to another server, or, if the new file is the right one, correct what was expected "
            f"(in the zoo's configuration, or in {folder / CHECKSUMS})"
        ) from error
    checksum = checksum or f"sha256:{pooch.file_hash(path)}"
    return {"checksum": checksum, **_facts(path)}


def _facts(path: Path) -> dict[str, int]:
    facts = path.stat()
    return {"size": facts.st_size, "modified": facts.st_mtime_ns}


def _settled(path: Path, record: Mapping[str, Any] | None, remote: Remote) -> bool:
    """Whether a file is there, unchanged since it was checked against what is expected of it."""
    if record is None or not path.is_file():
        return False
    expected = remote.checksum or record["checksum"]
    return record == {"checksum": expected, **_facts(path)}


def _read(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / CHECKSUMS
    try:
        return json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise ValueError(
            f"{path}: damaged ({error}); remove it, and the files there are trusted as they are"
        ) from error


@contextmanager
def _recording(folder: Path) -> Iterator[dict[str, dict[str, Any]]]:
    """The records of a folder, written down at the end, whatever ends it."""
    records = _read(folder)
    before = json.dumps(records)
    try:
        yield records
    finally:
        if json.dumps(records) != before:
            with replacing(folder / CHECKSUMS) as partial_file:
                partial_file.write_text(json.dumps(records, indent=1, sort_keys=True))
