"""One way in for zoos of any layout: what lies there decides how it is read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from mzsane.architectures import Architecture
from mzsane.zoos.reading.archives import COMPRESSED, TAR, ZIP, is_archive
from mzsane.zoos.reading.checkpoints import Checkpoint
from mzsane.zoos.reading.finding import find_trials
from mzsane.zoos.reading.hub import fetch_repository, find_snapshot, is_repository
from mzsane.zoos.reading.joining import joined, stamped
from mzsane.zoos.reading.naming import is_weights
from mzsane.zoos.reading.plain import read_plain
from mzsane.zoos.reading.results import with_gap
from mzsane.zoos.reading.tables import Row, read_table
from mzsane.zoos.reading.trees import Tree, walk
from mzsane.zoos.reading.trials import read_found
from mzsane.zoos.reading.unpacking import read_archive
from mzsane.zoos.records import ModelRecord, Skipped

FORMATS = ("auto", "trials", "plain")

Members = Iterator[ModelRecord | Skipped]


class Place(NamedTuple):
    """Where a zoo is.

    Attributes:
        content: its folder, on disk or in an archive.
        name: of a model that has no other.
        origin: for the records' provenance, besides folder and file.
    """

    content: Tree
    name: str | None
    origin: Mapping[str, str]


def read_zoo(
    path: str | Path,
    *,
    format: str = "auto",
    epochs: Sequence[int] | None = None,
    architecture: Architecture | None = None,
    properties: str | Path | None = None,
    trust_pickle: bool = False,
) -> Members:
    """Every checkpoint of a zoo, by model and epoch, and what cannot be read; no weights yet.

    A folder with trials below it is a zoo of trials (see `read_trials`), any other with weights a
    plain one (see `read_plain`). A folder that has neither but archives is all of them together,
    each model's name beginning with its archive's; one that cannot be read is reported.

    Args:
        path: a folder; a zip or tar archive, which is read in place; a snapshot of the Hugging
            Face hub; or a repository there, ``owner/name`` or ``hf://owner/name@revision``.
        format: ``trials`` or ``plain``; ``auto`` recognises it.
        epochs: to read; None reads all.
        architecture: of all models; None takes what the zoo says, if it does.
        properties: table with more of them, see `tables`; None takes the one that lies in a plain
            folder, if any.
        trust_pickle: see `load_weights`.

    Raises:
        FileNotFoundError: if there is nothing, or no model.
        ValueError: if it is damaged, or has none of these epochs.
    """
    if format not in FORMATS:
        raise ValueError(f"zoo format {format!r} is unknown; choose from {', '.join(FORMATS)}")
    table = None if properties is None else Path(properties)
    place = _locate(path)
    settings = {"epochs": epochs, "architecture": architecture, "trust_pickle": trust_pickle}
    return _marked(_read(place, format, table, settings), origin=place.origin)


def _locate(path: str | Path) -> Place:
    """The folder to read; repositories are fetched."""
    if isinstance(path, str) and is_repository(path):
        snapshot = fetch_repository(path)
    elif (folder := Path(path).expanduser()).is_dir():
        snapshot = find_snapshot(folder)
    elif not folder.exists():
        raise FileNotFoundError(f"{path}: no such folder or archive; check zoo.path")
    elif is_archive(folder):
        return Place(read_archive(folder), _stem(folder.name), {})
    else:
        raise ValueError(f"{path}: neither a folder nor an archive; give the folder that holds it")
    if snapshot is None:
        return Place(folder, None, {})
    return Place(snapshot.folder, snapshot.repository, snapshot.origin)


def _read(place: Place, format: str, table: Path | None, settings: Mapping[str, Any]) -> Members:
    """As trials, as archives or as a plain folder."""
    trials = [] if format == "plain" else find_trials(place.content)
    if format == "auto" and not trials and (archives := _archives_alone(place.content)):
        return _read_archives(archives, table, settings)
    if trials or format == "trials":
        members = read_found(place.content, trials, **settings)
        members = members if table is None else _with_rows(members, read_table(table))
    else:
        members = read_plain(place.content, properties=table, name=place.name, **settings)
    return chain(members, _unread_archives(place.content))


def _unread_archives(folder: Tree) -> Members:
    """Archives that lie beside models; they may hold images as well as models."""
    for file in sorted(folder.iterdir()):
        if isinstance(file, Path) and is_archive(file):
            yield Skipped(str(file), "an archive beside models is not read; give it as zoo.path")


def _archives_alone(folder: Tree) -> dict[str, Path]:
    """Archives below a folder without weights, by path without suffix."""
    if not isinstance(folder, Path):
        return {}
    files = dict(walk(folder))
    if any(is_weights(file.name) for file in files.values()):
        return {}
    archives = [path for path, file in files.items() if is_archive(file)]
    named = {_stem(path): folder / path for path in archives}
    if len(named) < len(archives):
        raise ValueError(
            f"{folder}: of {', '.join(archives)} two would give models the same names; rename or "
            "remove one"
        )
    return named


def _read_archives(
    archives: Mapping[str, Path], table: Path | None, settings: Mapping[str, Any]
) -> Members:
    """All of them together, models by name."""
    zoos: list[Members] = []
    skipped = []
    for name, archive in sorted(archives.items()):
        try:
            members = _read(Place(read_archive(archive), name, {}), "auto", None, settings)
            zoos.append(_marked(members, prefix=f"{name}/"))
        except (ValueError, OSError) as error:
            skipped.append(Skipped(str(archive), str(error)))
    if not zoos:
        raise ValueError(f"no archive can be read; the first: {skipped[0].reason}")
    members = chain(*zoos, skipped)
    return members if table is None else _with_rows(members, read_table(table))


def _stem(archive: str) -> str:
    """The path without the suffix that makes it an archive's."""
    suffixes = (ZIP, TAR, *COMPRESSED)
    return archive[: -len(next(s for s in suffixes if archive.lower().endswith(s)))]


def _marked(members: Members, prefix: str = "", origin: Mapping[str, str] | None = None) -> Members:
    """Models with a longer name and a longer provenance."""
    for member in members:
        if isinstance(member, ModelRecord):
            provenance = member.provenance | (origin or {})
            member = replace(member, model=prefix + member.model, provenance=provenance)
        yield member


def _with_rows(members: Members, rows: Sequence[Row]) -> Members:
    """With the properties of a table added; rows that fit no model are reported."""
    members = list(members)
    records = [member for member in members if isinstance(member, ModelRecord)]
    found = [
        Checkpoint(each.model, each.epoch, 0, _key(each), Path(each.provenance["file"]))
        for each in records
    ]
    more, unknown = joined(rows, found)
    for member in members:
        if isinstance(member, ModelRecord):
            told = more.get(_key(member), {})
            properties = with_gap(member.properties | told)
            member = replace(member, properties=properties, stamp=stamped(member.stamp, told))
        yield member
    yield from unknown


def _key(record: ModelRecord) -> str:
    return f"{record.model}/{record.epoch}"
