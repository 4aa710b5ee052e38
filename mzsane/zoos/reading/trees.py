"""Folders of files, on disk or in an archive, for readers that need not know which."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from posixpath import basename, dirname
from typing import NamedTuple

from mzsane.zoos.reading.archives import Extent, copy_extent, listed


class Facts(NamedTuple):
    """What `stat` tells of a member, under the names of `os.stat_result`."""

    st_size: int
    st_mtime_ns: int


@dataclass(frozen=True)
class Member:
    """A file or folder of an archive, with the methods of `pathlib.Path` that readers use.

    A file's `Member` is small when sent to another process: it takes along where its own bytes lie.

    Attributes:
        archive: a zip or uncompressed tar file.
        inner: path in the archive; ``.`` is its top.
        files: of the archive, by path.
        folders: names in each folder of the archive, by path.
    """

    archive: Path
    inner: str
    files: dict[str, Extent]
    folders: dict[str, list[str]]

    @property
    def name(self) -> str:
        """The last part of the path; of the top, the archive's without suffix."""
        if self.inner == ".":
            return self.archive.name.strip(".").partition(".")[0]
        return basename(self.inner)

    @property
    def suffix(self) -> str:
        """Of the name, with its dot."""
        return PurePosixPath(self.inner).suffix

    @property
    def parent(self) -> "Member":
        """The folder that holds this."""
        return self._at(dirname(self.inner) or ".")

    def __truediv__(self, name: str) -> "Member":
        """What is below this folder, there or not."""
        return self._at(name if self.inner == "." else f"{self.inner}/{name}")

    def __str__(self) -> str:
        """Where it is, for messages."""
        return str(self.archive / self.inner)

    def __lt__(self, other: "Member") -> bool:
        """By path, as `pathlib.Path` sorts."""
        return self.inner.split("/") < other.inner.split("/")

    def __hash__(self) -> int:
        """Of what names it."""
        return hash((self.archive, self.inner))

    def __eq__(self, other: object) -> bool:
        """The same place of the same archive."""
        return isinstance(other, Member) and str(self) == str(other)

    def __reduce__(self) -> tuple:
        """Leaves the rest of the archive behind, unless this is a folder."""
        if self.is_file():
            own = {self.inner: self.files[self.inner]}
            return Member, (self.archive, self.inner, own, {})
        return Member, (self.archive, self.inner, self.files, self.folders)

    def is_file(self) -> bool:
        """Whether there is a file of this name."""
        return self.inner in self.files

    def is_dir(self) -> bool:
        """Whether there is a folder of this name."""
        return self.inner in self.folders

    def exists(self) -> bool:
        """Whether there is anything of this name."""
        return self.is_file() or self.is_dir()

    def iterdir(self) -> Iterator["Member"]:
        """What is in this folder."""
        return (self / name for name in self.folders[self.inner])

    def stat(self) -> Facts:
        """Size, and what changes with the content."""
        extent = self.files[self.inner]
        return Facts(extent.size, extent.stamp)

    def read_bytes(self) -> bytes:
        """The whole file; raises what `open` does."""
        return self.open().read()

    def read_text(self) -> str:
        """The whole file as text."""
        return self.read_bytes().decode()

    def open(self, mode: str = "rb") -> io.BytesIO:
        """The whole file in memory, to be read as bytes.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is damaged.
        """
        content = io.BytesIO()
        self.copy(content)
        content.seek(0)
        return content

    def copy(self, target: io.BufferedIOBase) -> None:
        """Write the whole file there, a chunk at a time; raises what `open` does."""
        if not self.is_file():
            raise FileNotFoundError(f"{self}: no such file in the archive")
        try:
            with self.archive.open("rb") as opened:
                copy_extent(opened, self.files[self.inner], target)
        except ValueError as error:
            raise ValueError(f"{self}: {error}") from error

    def _at(self, inner: str) -> "Member":
        return Member(self.archive, inner, self.files, self.folders)


Tree = Path | Member
"""A file or folder, on disk or in an archive."""


def opened(archive: Path) -> Member:
    """The top of a zip or uncompressed tar file, as a folder.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the archive is damaged, or a member could reach outside.
    """
    files = listed(archive)
    folders: dict[str, dict[str, None]] = {".": {}}
    for name in files:
        child = name
        while child != ".":
            parent = dirname(child) or "."
            folders.setdefault(parent, {})[basename(child)] = None
            child = parent
    return Member(archive, ".", files, {name: list(those) for name, those in folders.items()})


def stamp(file: Tree) -> str:
    """Changes when the file does: size and time of change, in an archive the checksum."""
    facts = file.stat()
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def walk(folder: Tree) -> Iterator[tuple[str, Tree]]:
    """Files in a folder and below, by path relative to it; hidden ones are left out.

    Links to folders are followed, but not round in circles.
    """
    return _walk(folder, "", frozenset())


def _walk(folder: Tree, prefix: str, above: frozenset[Path]) -> Iterator[tuple[str, Tree]]:
    if isinstance(folder, Path):
        place = folder.resolve()
        if place in above:
            return
        above = above | {place}
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/", above)
        elif entry.is_file():
            yield f"{prefix}{entry.name}", entry
