"""Published zoos that are a few files, by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mzsane.progress import Progress, silent
from mzsane.zoos.downloading.connection import connected
from mzsane.zoos.downloading.fetching import Remote, fetch, safe

_ALGORITHMS = ("sha256", "md5")


@dataclass(frozen=True)
class Download:
    """Files of a zoo on a server, to be brought into a folder, and resumed if interrupted.

    Archives stay archives: `read_zoo` reads them in place. A file put into the folder by hand is
    taken as it is, if its checksum is not known to differ.

    Args:
        folder: where the files go.
        base_url: address to which their names are appended.
        files: what is known of each by its name: ``sha256`` or ``md5`` as digits, ``size`` in
            bytes. Null where nothing is known: a file's first checksum is then recorded in
            ``checksums.json`` and compared ever after.
        licence: of the zoo.
        homepage: where it is described.
        mirror: another server with the same paths, for example ``http://localhost:8000``.
        retries: attempts in a row that bring nothing before giving up.
        pause: seconds before the second attempt, doubled with each.
        timeout: seconds without an answer after which an attempt has failed.
        connections: files that come at once.

    Raises:
        ValueError: no files, a name that leads outside the folder, or a fact of unknown name.
    """

    folder: str | Path
    base_url: str
    files: Mapping[str, Mapping[str, str | int | None] | None]
    licence: str = ""
    homepage: str = ""
    mirror: str | None = None
    retries: int = 5
    pause: float = 1.0
    timeout: float = 30.0
    connections: int = 8

    def __post_init__(self) -> None:
        """Check what the user gave."""
        if not self.files:
            raise ValueError(f"{self.base_url}: name the files to download, files={{name: null}}")
        for name, facts in self.files.items():
            if unknown := sorted(set(facts or {}) - {"size", *_ALGORITHMS}):
                raise ValueError(
                    f"{safe(name)}: {unknown[0]!r} says nothing of a file; give sha256, md5, size"
                )

    def fetch(self, progress: Progress = silent) -> None:
        """Bring what is missing.

        Raises:
            ValueError: a file differs from its checksum or size; it is removed.
            OSError: a file cannot be had, or not be written.
        """
        settings = (self.retries, self.pause, self.timeout, self.connections)
        with connected(*settings) as connection:
            fetch(Path(self.folder), self._remotes(), connection, progress)

    def _remotes(self) -> dict[str, Remote]:
        base = mirrored(self.base_url, self.mirror)
        return {
            safe(name): _remote(f"{base}{name}", dict(f or {})) for name, f in self.files.items()
        }


def mirrored(url: str, mirror: str | None) -> str:
    """The address of the same path on another server, with a slash at its end.

    Raises:
        ValueError: a mirror that is no address.
    """
    if mirror and not mirror.startswith(("http://", "https://")):
        raise ValueError(f"zoo.mirror={mirror}: begin it with http:// or https://")
    path = urlsplit(url).path.lstrip("/")
    moved = f"{mirror.rstrip('/')}/{path}" if mirror else url
    return f"{moved.rstrip('/')}/"


def _remote(url: str, facts: Mapping[str, str | int | None]) -> Remote:
    known = [f"{name}:{facts[name]}" for name in _ALGORITHMS if facts.get(name)]
    size = facts.get("size")
    return Remote(url, known[0] if known else None, None if size is None else int(size))
