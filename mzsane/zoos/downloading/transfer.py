"""One file over HTTP, going on where an earlier attempt stopped."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from mzsane.zoos.downloading.connection import Connection

Tell = Callable[[int, int | None], None]
"""Called with bytes so far and in all (None = unknown)."""

_CHUNK = 1 << 16  # bytes; what a dropped connection loses at most


@dataclass(frozen=True)
class Transfer:
    """A downloader for pooch that keeps what it has when it is interrupted.

    Bytes are collected in `part`; beside it lies the server's name for this version of the file (a
    strong ETag, or the date of its last change). A later attempt asks for the rest *of that
    version* (RFC 9110, If-Range), so that a file that changed is never spliced.

    Attributes:
        part: collects the bytes.
        connection: to the server.
        size: of the file in bytes; None if unknown.
        tell: called after each chunk.
    """

    part: Path
    connection: Connection
    size: int | None
    tell: Tell

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Fill `output_file`, in the folder of `part`.

        Raises:
            ValueError: the file has another size than it should; nothing of it is kept.
            OSError: it cannot be had, or not be written.
        """
        self.connection.insist(url, lambda: self._attempt(url), self._have)
        self._version.unlink(missing_ok=True)
        self.part.replace(output_file)

    @property
    def _version(self) -> Path:
        return self.part.with_name(f"{self.part.name}.version")

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _attempt(self, url: str) -> None:
        version = self._version.read_text() if self._version.exists() else ""
        have = self._have() if version else 0
        wanted = {"Range": f"bytes={have}-", "If_Range": version} if have else {}
        with self.connection.get(url, **wanted) as answer:
            if answer.status_code == 200:
                whole = _number(answer.headers.get("Content-Length"))
                self._begin(answer)
                self._receive(answer, 0, self._checked(whole))
                return
            first, whole = _range(answer)
            if answer.status_code == 416 and have == whole:
                return
            if first != have or _version_of(answer) not in ("", version):
                self._forget()
                raise requests.ConnectionError("it gave another part than asked for")
            self._receive(answer, have, self._checked(whole))

    def _checked(self, whole: int | None) -> int | None:
        """The length that a server tells, if it can be the right one."""
        if self.size is not None and whole not in (None, self.size):
            self._forget()
            raise ValueError(f"{whole} bytes are there, {self.size} were expected")
        return whole

    def _forget(self) -> None:
        """Keep nothing; the version goes first, for bytes without one are never used."""
        self._version.unlink(missing_ok=True)
        self.part.unlink(missing_ok=True)

    def _begin(self, answer: requests.Response) -> None:
        self._forget()
        self.part.touch()
        self._version.write_text(_version_of(answer))

    def _receive(self, answer: requests.Response, have: int, whole: int | None) -> None:
        try:
            with self.part.open("ab") as file:
                for chunk in answer.iter_content(_CHUNK):
                    have += file.write(chunk)
                    self.tell(have, whole)
                    if have != whole:
                        self.connection.check()
        except requests.RequestException:
            raise
        except OSError as error:
            raise OSError(
                f"{self.part}: cannot be written after {have} bytes ({error.strerror}); make room "
                "and give the same command again, it goes on from there"
            ) from error
        if whole not in (None, have):
            raise requests.ConnectionError(f"it stopped after {have} of {whole} bytes")


def _version_of(answer: requests.Response) -> str:
    """What names this version of a file; a weak ETag may not be compared byte for byte."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _range(answer: requests.Response) -> tuple[int | None, int | None]:
    """First byte and length of the whole file, from ``Content-Range: bytes 10-19/20``."""
    found = re.fullmatch(
        r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", "")
    )
    return (_number(found[1]), _number(found[2])) if found else (None, None)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
