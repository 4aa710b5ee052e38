"""Writing the file of a store, when all that goes into it is known."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from mzsane.stores.format import (
    ALIGNMENT,
    FORMAT,
    FORMAT_VERSION,
    put_column,
    put_strings,
    put_text,
)
from mzsane.stores.frames import Frame
from mzsane.stores.journal import Refused
from mzsane.stores.piles import Pile
from mzsane.stores.reading import TokenStore, content_hash
from mzsane.stores.spool import num_integers, row_bytes
from mzsane.zoos import Skipped

BLOCK = 2**25  # bytes of weights written at once


class Contents(NamedTuple):
    """All that a store holds.

    Attributes:
        name: of the source.
        settings: of tokens, and the dtype.
        provenance: anything that JSON can hold.
        piles: in canonical form.
        frames: of the piles.
        skipped: members without a record.
        refused: checkpoints that cannot be stored.
    """

    name: str
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    piles: Sequence[Pile]
    frames: Sequence[Frame]
    skipped: Sequence[Skipped]
    refused: Sequence[Refused]


def file_store(contents: Contents, file: Path, told: Callable[[int], None]) -> None:
    """Write everything, and the hash of what can be read back.

    Args:
        contents: of the store.
        file: written anew.
        told: called with the number of rows written, block by block.

    Raises:
        OSError: if it cannot be written.
    """
    _reserve(file, contents.piles)
    aligned = {"alignment_threshold": ALIGNMENT, "alignment_interval": ALIGNMENT}
    with h5py.File(file, "w", **aligned) as store:
        store.attrs.update(
            format=FORMAT,
            format_version=FORMAT_VERSION,
            name=contents.name,
            settings=json.dumps(contents.settings),
        )
        put_text(store, "provenance", json.dumps(_dated(contents.provenance)))
        put_text(store, "skipped", json.dumps(contents.skipped))
        put_text(store, "refused", json.dumps(contents.refused))
        for number, (pile, frame) in enumerate(zip(contents.piles, contents.frames, strict=True)):
            group = store.create_group(f"shelves/{number}")
            _put_facts(group, pile, frame)
            _put_rows(group, pile, told)
    found = content_hash(TokenStore.open(file).architectures)
    with h5py.File(file, "r+") as store:
        store.attrs["content_hash"] = found
    with file.open("rb") as written:
        os.fsync(written.fileno())


def _reserve(file: Path, piles: Sequence[Pile]) -> None:
    """Fail if there is no room for the store: HDF5 ends the whole process when a write fails.

    Raises:
        OSError: the disk, a quota or a limit is exceeded.
    """
    size = 2**20 + sum(
        row_bytes(pile.layout, pile.dtype) + 256 + sum(8 + len(str(each)) for each in values)
        for pile in piles
        for values in (member.properties.values() for member in pile.members)
    )
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with file.open("wb") as room:
            os.posix_fallocate(room.fileno(), 0, size)


def _put_facts(group: h5py.Group, pile: Pile, frame: Frame) -> None:
    """Everything but the rows."""
    members = pile.members
    put_text(group, "layout", pile.layout.to_json())
    put_text(group, "symmetry", frame.symmetry.to_json() if frame.symmetry else "")
    put_text(group, "architecture", pile.architecture.to_json() if pile.architecture else "")
    put_text(group, "recognised", json.dumps(pile.remarks))
    put_text(group, "untraced", frame.untraced)
    put_text(group, "by_hand", frame.by_hand)
    group.attrs.update(frame=frame.digest, reference=-1 if frame.row is None else frame.row)
    put_strings(group, "models", [member.key[0] for member in members])
    group["epochs"] = np.array([member.key[1] for member in members], np.int64)
    group["stamps"] = np.array([member.stamp for member in members], np.int64)
    group["rounding"] = np.array([member.rounding for member in members], np.float64)
    unknown = (np.nan, np.nan)
    group["similarity"] = np.array([member.similarity or unknown for member in members], np.float64)
    columns = group.create_group("properties")
    for column in sorted({name for member in members for name in member.properties}):
        put_column(columns, column, [member.properties.get(column) for member in members])


def _put_rows(group: h5py.Group, pile: Pile, told: Callable[[int], None]) -> None:
    """Weights and buffers, a block at a time."""
    members, width = pile.members, pile.layout.parameters
    weights = group.create_dataset("weights", (len(members), width), pile.dtype)
    integers = group.create_dataset("integers", (len(members), num_integers(pile.layout)), np.int64)
    step = max(BLOCK // max(width * weights.dtype.itemsize, 1), 1)
    for first in range(0, len(members), step):
        rows = [pile.row(member) for member in members[first : first + step]]
        _put_block(weights, first, [row for row, _ in rows])
        _put_block(integers, first, [buffers for _, buffers in rows])
        told(len(rows))


def _put_block(data: h5py.Dataset, first: int, rows: Sequence[np.ndarray]) -> None:
    if data.shape[1]:
        data[first : first + len(rows)] = np.stack(rows)


def _dated(provenance: Mapping[str, Any]) -> dict[str, Any]:
    made = {"mzsane": version("mzsane"), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    return made | dict(provenance)
