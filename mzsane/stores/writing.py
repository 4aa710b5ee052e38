"""From a stream of models to one file."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from torch import Tensor

from mzsane.progress import Progress, silent
from mzsane.stores.canonical import Frame, Row, canonical_rows, frame_of
from mzsane.stores.format import (
    ALIGNMENT,
    DTYPES,
    FORMAT,
    FORMAT_VERSION,
    put_column,
    put_strings,
    put_text,
)
from mzsane.stores.reading import TokenStore, content_hash
from mzsane.stores.report import Report, first_reasons
from mzsane.stores.spool import Pile, Spool
from mzsane.zoos import ModelRecord, Skipped


def write_store(
    path: str | Path,
    records: Iterable[ModelRecord | Skipped],
    *,
    name: str,
    size: int = 0,
    scheme: str = "channel",
    batchnorm: str = "rows",
    dtype: str = "float32",
    align: bool = True,
    references: Mapping[str, Mapping[str, Tensor]] | None = None,
    provenance: Mapping[str, Any] | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> Report:
    """Store every model once, in canonical form, and say what became of each.

    Models are read one at a time and kept on disk, next to `path`, until all are known. The file
    appears under its name when it is complete; what a killed run left behind is cleared away by
    the next.

    Args:
        path: of the store; replaced if it exists.
        records: the zoo's models, and those that could not be read.
        name: of the source.
        size: token size; 0 takes the largest row of any architecture.
        scheme: see `Layout`.
        batchnorm: see `Layout`.
        dtype: ``float32`` or ``float16``.
        align: permute models to be similar to a reference; see `frame_of` for which.
        references: state dicts by fingerprint of their architecture, which replace our choice;
            `TokenStore.references` gives those of another source.
        provenance: anything that JSON can hold: folder, digest, licence.
        workers: processes that match weights.
        progress: is told how far we are.

    Raises:
        ValueError: an unknown setting, a reference that does not fit, or no model left to store.
    """
    if dtype not in DTYPES:
        raise ValueError(f"store dtype {dtype!r}: choose from {', '.join(DTYPES)}")
    path, tell = Path(path), progress
    settings = {"size": size, "scheme": scheme, "batchnorm": batchnorm}
    with _workplace(path) as folder:
        spool = Spool(folder, settings, dtype)
        skipped = _collect(records, spool, name, tell)
        if not spool.piles:
            raise ValueError(f"{name}: no model to store; {first_reasons(skipped) or 'none given'}")
        _unify_sizes(spool.piles)
        frames = [frame_of(pile, align, references) for pile in spool.piles]
        with h5py.File(
            folder / "store.h5", "w", alignment_threshold=ALIGNMENT, alignment_interval=ALIGNMENT
        ) as file:
            file.attrs.update(
                format=FORMAT,
                format_version=FORMAT_VERSION,
                name=name,
                settings=json.dumps(settings | {"dtype": dtype}),
            )
            rows = _write_shelves(file, spool.piles, frames, workers, tell)
            report = _report(spool.piles, frames, rows, skipped)
            put_text(file, "report", report.to_json())
            put_text(file, "provenance", json.dumps(_dated(provenance)))
        _seal(folder / "store.h5", path)
    return report


def _collect(
    records: Iterable[ModelRecord | Skipped], spool: Spool, name: str, tell: Progress
) -> list[Skipped]:
    skipped = []
    for done, record in enumerate(records, start=1):
        tell(f"reading {name}", done, None)
        if isinstance(record, Skipped):
            skipped.append(record)
            continue
        try:
            spool.add(record)
        except (ValueError, OSError) as error:
            where = record.provenance.get("file", f"{record.model} epoch {record.epoch}")
            skipped.append(Skipped(where, str(error)))
    return skipped


def _unify_sizes(piles: Sequence[Pile]) -> None:
    """One token size for all shelves; flat vectors do not depend on it."""
    largest = max(pile.layout.d_token for pile in piles)
    for pile in piles:
        pile.layout = replace(pile.layout, size=largest)


def _write_shelves(
    file: h5py.File, piles: Sequence[Pile], frames: Sequence[Frame], workers: int, tell: Progress
) -> list[Row]:
    """All shelves; of each row only the similarities are kept."""
    total, measured = sum(len(pile.keys) for pile in piles), []
    for number, (pile, frame) in enumerate(zip(piles, frames, strict=True)):
        group = file.create_group(f"shelves/{number}")
        weights = _write_facts(group, pile, frame)
        for at, row in enumerate(canonical_rows(pile, frame, workers)):
            weights[at] = row.weights
            measured.append(row._replace(weights=np.zeros(0)))
            tell(f"storing {file.attrs['name']}", len(measured), total)
    return measured


def _write_facts(group: h5py.Group, pile: Pile, frame: Frame) -> h5py.Dataset:
    """Everything but the weights, for which the place is returned."""
    order = pile.order()
    put_text(group, "layout", pile.layout.to_json())
    put_text(group, "symmetry", frame.symmetry.to_json() if frame.symmetry else "")
    put_text(group, "architecture", pile.architecture.to_json() if pile.architecture else "")
    put_text(group, "untraced", frame.untraced)
    group.attrs.update(frame=frame.digest, reference=-1 if frame.row is None else frame.row)
    put_strings(group, "models", [pile.keys[at][0] for at in order])
    group["epochs"] = np.array([pile.keys[at][1] for at in order], np.int64)
    group["integers"] = np.stack([pile.integers[at] for at in order])
    columns = group.create_group("properties")
    for column in dict.fromkeys(name for values in pile.properties for name in values):
        put_column(columns, column, [pile.properties[at].get(column) for at in order])
    return group.create_dataset("weights", (len(order), pile.layout.parameters), pile.dtype)


def _report(
    piles: Sequence[Pile], frames: Sequence[Frame], rows: Sequence[Row], skipped: Sequence[Skipped]
) -> Report:
    rounding = [error for pile in piles for error in pile.rounding]
    aligned = [(row.before, row.after) for row in rows if row.after is not None]
    before, after = np.mean(aligned, axis=0).tolist() if aligned else (None, None)
    return Report(
        taken=len(rows),
        models=len({model for pile in piles for model, _ in pile.keys}),
        skipped=tuple(skipped),
        rounded=sum(error > 0 for error in rounding),
        rounding=max(rounding),
        untraced=tuple(frame.untraced for frame in frames if frame.untraced),
        similarity_before=before,
        similarity_after=after,
    )


def _dated(provenance: Mapping[str, Any] | None) -> dict[str, Any]:
    made = {"mzsane": version("mzsane"), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    return made | dict(provenance or {})


def _seal(written: Path, path: Path) -> None:
    """Hash what can be read back, and give the file its name."""
    found = content_hash(TokenStore.open(written).architectures)
    with h5py.File(written, "r+") as file:
        file.attrs["content_hash"] = found
    with written.open("rb") as file:
        os.fsync(file.fileno())
    written.replace(path)


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """A folder next to the file, on the same disk; one that a killed run left is cleared first."""
    folder = path.with_name(f".{path.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
