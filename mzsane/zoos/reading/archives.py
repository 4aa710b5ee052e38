"""Archives as they are on disk: what is in a zip or tar file, checked before anything is used.

Links are followed inside the archive and never made, so no member can reach outside it.
"""

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from posixpath import dirname, join, normpath
from typing import NamedTuple

ZIP, TAR = ".zip", ".tar"
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_CHUNK = 2**20
_DAMAGED = "damaged in the archive; fetch it again"
_HEADER = struct.Struct("<4s22xHH")  # of a member of a zip: mark, lengths of its name and extras


class Extent(NamedTuple):
    """Where a file lies in its archive, and how; enough to read it without the archive's listing.

    Attributes:
        offset: of the bytes in a tar file, of the member's header in a zip file.
        stored: bytes in the archive.
        size: bytes of the file.
        stamp: changes with the content: the checksum of a zip file, the time of a tar file.
        method: zip's compression; None in a tar file.
    """

    offset: int
    stored: int
    size: int
    stamp: int
    method: int | None = None


class Entry(NamedTuple):
    """A member: a file has an extent, a link has a target, a folder neither."""

    name: str
    extent: Extent | None = None
    target: str | None = None


def is_archive(path: Path) -> bool:
    """Whether the name says so."""
    return path.name.lower().endswith((ZIP, TAR, *COMPRESSED))


def is_compressed(path: Path) -> bool:
    """Whether members can only be reached by unpacking all that is before them."""
    return path.name.lower().endswith(COMPRESSED)


def listed(archive: Path) -> dict[str, Extent]:
    """Files of a zip or uncompressed tar file by name, without reading them.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the archive is damaged, or a member could reach outside.
    """
    entries = {}
    try:
        for entry in _zip(archive) if archive.suffix.lower() == ZIP else _tar(archive):
            entries[_inside(entry.name, entry.name, archive)] = entry
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, NotImplementedError) as error:
        raise ValueError(f"{archive} is damaged or no archive ({error}); fetch it again") from error
    return {name: file for name in entries if (file := _file(name, entries, archive)) is not None}


def copy_extent(archive: io.BufferedIOBase, extent: Extent, target: io.BufferedIOBase) -> None:
    """Write the bytes of a member, from the opened archive, a chunk at a time.

    Raises:
        ValueError: if they are cut short, damaged or compressed in an unusual way.
    """
    size, checksum = 0, 0
    try:
        for chunk in _chunks(archive, extent):
            size, checksum = size + len(chunk), zlib.crc32(chunk, checksum)
            target.write(chunk)
    except zlib.error as error:
        raise ValueError(_DAMAGED) from error
    if size != extent.size or (extent.method is not None and checksum != extent.stamp):
        raise ValueError(_DAMAGED)


def _chunks(archive: io.BufferedIOBase, extent: Extent) -> Iterator[bytes]:
    """The bytes of a member, decompressed."""
    archive.seek(extent.offset)
    if extent.method is not None:
        mark, name, extras = _HEADER.unpack(archive.read(_HEADER.size).ljust(_HEADER.size))
        if mark != b"PK\3\4":
            raise ValueError(_DAMAGED)
        archive.seek(name + extras, io.SEEK_CUR)
    if extent.method not in (None, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"compressed by zip's method {extent.method}; unpack the archive yourself")
    deflated = extent.method == zipfile.ZIP_DEFLATED
    inflate = zlib.decompressobj(-zlib.MAX_WBITS).decompress if deflated else bytes
    for done in range(0, extent.stored, _CHUNK):
        yield inflate(archive.read(min(_CHUNK, extent.stored - done)))


def _zip(archive: Path) -> Iterator[Entry]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if info.flag_bits & 1:
                raise ValueError(f"{archive}: '{info.filename}' is encrypted; unpack it yourself")
            if info.is_dir():
                yield Entry(info.filename)
            elif stat.S_ISLNK(info.external_attr >> 16):
                target = join(dirname(info.filename), opened.read(info).decode())
                yield Entry(info.filename, target=target)
            else:
                sizes = (info.compress_size, info.file_size)
                extent = Extent(info.header_offset, *sizes, info.CRC, info.compress_type)
                yield Entry(info.filename, extent)


def _tar(archive: Path) -> Iterator[Entry]:
    with tarfile.open(archive, "r:") as opened:
        for info in opened:
            if info.isdir():
                yield Entry(info.name)
            elif info.isreg() and not info.issparse():
                size = info.size
                yield Entry(info.name, Extent(info.offset_data, size, size, int(info.mtime)))
            elif info.issym():
                yield Entry(info.name, target=join(dirname(info.name), info.linkname))
            elif info.islnk():
                yield Entry(info.name, target=info.linkname)
            else:
                raise ValueError(
                    f"{archive}: '{info.name}' is a device or other special file, which no zoo "
                    "needs; do not use this archive"
                )
        _expect_end(archive, opened.offset)


def _expect_end(archive: Path, offset: int) -> None:
    """tarfile takes a damaged header, or none, for the end; a true one is a block of zeros."""
    with archive.open("rb") as file:
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"it breaks off at byte {offset}")


def _inside(name: str, member: str, archive: Path) -> str:
    """The name in its plain form, if it stays in the archive on any system."""
    plain = normpath(name)
    path = PureWindowsPath(name)  # knows both kinds of separators, and drives
    if path.anchor or plain.split("/")[0] == ".." or (name == member and ".." in path.parts):
        raise ValueError(f"{archive}: '{member}' leads outside the archive; do not use it")
    return plain


def _file(name: str, entries: dict[str, Entry], archive: Path) -> Extent | None:
    """What a name stands for, through links; None for a folder."""
    entry, seen = entries[name], set()
    while entry.target is not None:
        target = _inside(entry.target, name, archive)
        if target in seen or target not in entries:
            raise ValueError(
                f"{archive}: '{name}' links to '{target}', which is no file of the archive; "
                "unpack it yourself"
            )
        seen.add(target)
        entry = entries[target]
    return entry.extent
