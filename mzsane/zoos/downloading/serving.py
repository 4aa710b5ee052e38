"""Published zoos that lie on a server as folders of trials, chosen by name."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from mzsane.files import replacing
from mzsane.progress import Progress, silent
from mzsane.zoos.downloading.connection import connected
from mzsane.zoos.downloading.crowd import at_once
from mzsane.zoos.downloading.download import mirrored
from mzsane.zoos.downloading.fetching import Remote, fetch
from mzsane.zoos.downloading.listing import Server

LISTING = "listing.json"
_CHOICE = ("base_url", "include", "seeds", "epochs")
_DESCRIPTIONS = ("params.json", "config.json", "result.json")
_WEIGHTS = "checkpoints"  # the file with the state dict, in a folder of its epoch
_CHECKPOINT = re.compile(r"checkpoint_0*(\d+)")  # padded or not
_SEED = re.compile(r"seed=(\d+)")


class _Found(NamedTuple):
    """What a folder on the server holds: folders to look into, and files to bring."""

    folders: list[str]
    files: list[str]


@dataclass(frozen=True)
class DownloadTrials:
    """Trials of a zoo on a server: descriptions, results and the checkpoints asked for.

    What was chosen is written to ``listing.json`` in the folder, so that a resumed or complete
    download asks for no listing; remove it to look for new trials.

    Args:
        folder: where the trials go, below the names that they have on the server.
        base_url: the folder on the server.
        include: patterns of which one fits the first folder below `base_url`.
        seeds: of training, by the trial's name, or where that has none, by its description;
            numbers, or a text such as ``1-100,117``. None takes all.
        epochs: by the checkpoints' names; None takes all.
        licence: of the zoo.
        homepage: where it is described.
        mirror: another server with the same paths, for example ``http://localhost:8000``.
        retries: attempts in a row that bring nothing before giving up.
        pause: seconds before the second attempt, doubled with each.
        timeout: seconds without an answer after which an attempt has failed.
        connections: files that come at once.

    Raises:
        ValueError: `seeds` that cannot be understood.
    """

    folder: str | Path
    base_url: str
    include: Sequence[str] = ("*",)
    seeds: Sequence[int] | str | int | None = None
    epochs: Sequence[int] | None = None
    licence: str = ""
    homepage: str = ""
    mirror: str | None = None
    retries: int = 5
    pause: float = 1.0
    timeout: float = 30.0
    connections: int = 8

    def __post_init__(self) -> None:
        """Check what the user gave."""
        numbers(self.seeds)

    def fetch(self, progress: Progress = silent) -> None:
        """Bring what is missing.

        Raises:
            ValueError: nothing fits, a listing is none, or a file differs from its checksum.
            OSError: a file cannot be had, or not be written.
        """
        settings = (self.retries, self.pause, self.timeout, self.connections)
        with connected(*settings) as connection:
            server = Server(connection, mirrored(self.base_url, self.mirror))
            names = self._remembered() or self._listed(server, progress)
            remotes = {name: Remote(server.url(name)) for name in names}
            fetch(Path(self.folder), remotes, connection, progress)

    def _remembered(self) -> list[str]:
        """The files of an earlier listing for the same choice."""
        path = Path(self.folder) / LISTING
        known = json.loads(path.read_text()) if path.exists() else {}
        return known["files"] if known.get("choice") == self._choice() else []

    def _choice(self) -> dict[str, Any]:
        return json.loads(json.dumps({key: asdict(self)[key] for key in _CHOICE}))

    def _listed(self, server: Server, progress: Progress) -> list[str]:
        """The files to bring, as the server lists them now."""
        tops = server.folders("")
        fitting = [top for top in tops if any(fnmatchcase(top, each) for each in self.include)]
        names = self._below(server, [f"{top}/" for top in fitting], progress)
        if not any(name.endswith(f"/{_WEIGHTS}") for name in names):
            wanted = {key: getattr(self, key) for key in _CHOICE[1:]}
            raise ValueError(
                f"{server.base}: no checkpoint fits {wanted}; there is: {', '.join(tops)}"
            )
        with replacing(Path(self.folder) / LISTING) as unfinished:
            unfinished.write_text(json.dumps({"choice": self._choice(), "files": names}, indent=0))
        return names

    def _below(self, server: Server, folders: Sequence[str], progress: Progress) -> list[str]:
        """The files wanted of folders on the server and of all that is in them, level by level."""
        files: list[str] = []
        listed = 0

        def watch(done: int) -> None:
            progress(f"folders of {Path(self.folder).name}", listed + done, listed + len(wanted))

        while wanted := [name for name in folders if not self._refuses(_SEED.search(name))]:
            found = at_once(server.connection, partial(self._look, server), wanted, watch)
            listed += len(wanted)
            files += chain.from_iterable(each.files for each in found)
            folders = list(chain.from_iterable(each.folders for each in found))
        return sorted(files)

    def _look(self, server: Server, folder: str) -> _Found:
        """What is wanted of one folder on the server."""
        entries = server.entries(folder)
        names = sorted(name for name, kind in entries.items() if kind == "directory")
        files = [f"{folder}{name}" for name in _DESCRIPTIONS if entries.get(name) == "file"]
        folders = []
        checkpoints: dict[int, str] = {}  # of two spellings the first, as readers have it
        for name in names:
            if match := _CHECKPOINT.fullmatch(name):
                checkpoints.setdefault(int(match[1]), f"{folder}{name}/{_WEIGHTS}")
            elif not name.startswith("."):
                folders.append(f"{folder}{name}/")
        taken = [path for e, path in checkpoints.items() if self.epochs is None or e in self.epochs]
        if not taken or self._refuses_by_description(server, folder, files):
            return _Found(folders, [])
        return _Found(folders, [*files, *taken])

    def _refuses(self, seed: re.Match[str] | None) -> bool:
        wanted = numbers(self.seeds)
        return seed is not None and wanted is not None and int(seed[1]) not in wanted

    def _refuses_by_description(self, server: Server, folder: str, files: list[str]) -> bool:
        """Whether a trial whose name tells no seed has another one than asked for."""
        wanted = numbers(self.seeds)
        if wanted is None or _SEED.search(folder):
            return False
        descriptions = (name for name in files if not name.endswith("result.json"))
        return not any(server.json(name).get("seed") in wanted for name in descriptions)


def numbers(text: Sequence[int] | str | int | None) -> frozenset[int] | None:
    """Numbers, or ``1-3,7`` as numbers; None stays None.

    Raises:
        ValueError: if the text is something else.
    """
    if not isinstance(text, str):
        return None if text is None else frozenset([text] if isinstance(text, int) else text)
    found = frozenset[int]()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not match:
            raise ValueError(f"seeds={text!r}: give numbers and ranges, such as 1-100,117")
        found |= frozenset(range(int(match[1]), int(match[2] or match[1]) + 1))
    return found
