"""Archives opened in place, and unpacked into folders without reaching outside them."""

import bz2
import gzip
import lzma
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from mzsane.files import replacing, taking_turns
from mzsane.zoos.reading.archives import TAR, is_compressed
from mzsane.zoos.reading.trees import Member, opened

_OPENERS = {"gz": gzip.open, "tgz": gzip.open, "bz2": bz2.open, "tbz2": bz2.open}


def read_archive(archive: Path) -> Member:
    """An archive's content as a folder, read in place.

    Members of a compressed tar file cannot be reached singly, so it is decompressed once, into a
    hidden tar file beside it.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if there is no room beside it.
        ValueError: if the archive is damaged, or a member could reach outside.
    """
    if not is_compressed(archive):
        return opened(archive)
    plain = archive.with_name(f".{archive.name}{TAR}")
    with taking_turns(archive.with_name(f".{archive.name}.lock"), _patiently):
        changed = archive.stat().st_mtime_ns
        if not plain.exists() or plain.stat().st_mtime_ns != changed:
            with replacing(plain) as partial:
                _decompress(archive, partial)
                os.utime(partial, ns=(changed, changed))
    return opened(plain)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into a new folder, which appears when it is complete.

    Only folders and files are made. A link becomes a copy of the file of the archive that it
    points to. What an interrupted call leaves behind is removed by the next.

    Args:
        archive: a zip file, or a tar file, compressed or not.
        folder: to be made, or empty.

    Raises:
        FileNotFoundError: if there is no such archive.
        OSError: if there is no room.
        ValueError: if the folder is in use, the archive is damaged, or a member could reach
            outside; nothing is written then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is there already; unpack {archive} elsewhere, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.unpacking")
    with taking_turns(folder.with_name(f".{folder.name}.lock"), _patiently):
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            with TemporaryDirectory(dir=folder.parent, prefix=".") as room:
                _copy(_plain(archive, Path(room)), unfinished)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


def _plain(archive: Path, room: Path) -> Member:
    if not is_compressed(archive):
        return opened(archive)
    plain = room / f"{archive.name}{TAR}"
    _decompress(archive, plain)
    return opened(plain)


def _copy(content: Member, folder: Path) -> None:
    for inner in content.folders:
        (folder / inner).mkdir(parents=True, exist_ok=True)
    for inner in content.files:
        with _telling(content.archive, folder), (folder / inner).open("xb") as target:
            (content / inner).copy(target)


def _decompress(archive: Path, target: Path) -> None:
    kind = archive.name.lower().rpartition(".")[2]
    with (
        _telling(archive, target.parent),
        _OPENERS.get(kind, lzma.open)(archive, "rb") as source,
        target.open("wb") as plain,
    ):
        shutil.copyfileobj(source, plain, 2**20)


@contextmanager
def _telling(archive: Path, folder: Path) -> Iterator[None]:
    """Says which archive could not be unpacked where."""
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{archive} is damaged ({error}); fetch it again") from error
    except OSError as error:
        if error.errno is None:  # what gzip and bz2 raise about the content
            raise ValueError(f"{archive} is damaged ({error}); fetch it again") from error
        reason = error.strerror.lower()
        raise type(error)(
            error.errno, f"{archive} cannot be unpacked into {folder}: {reason}"
        ) from error


def _patiently() -> None:
    """Waits without telling: another process unpacks the same archive."""
