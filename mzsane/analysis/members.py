"""Which checkpoints are analysed, and what is known of each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from mzsane.stores import Shelf, TokenStore
from mzsane.zoos import SPLITS, split_of

Columns = dict[str, np.ndarray]
"""What is known of checkpoints, a column a name; missing numbers are NaN, missing texts empty."""

IDENTITY = ("source", "architecture", "model", "epoch", "split", "row")
"""Columns that every checkpoint has; what a zoo tells comes beside them."""

INTERESTING = ("test_acc", "epoch", "ggap", "source", "architecture", "dataset::name", "split")

TAKEN = {*IDENTITY, "layer", "layer_name", "token", "embedding", "mzsane"}
"""Names in tables of embeddings; a zoo's property of such a name is called ``zoo::NAME``."""

CHUNK_VALUES = 2**24  # token entries that are encoded before they are written: 64 MB
CHUNK_MODELS = 256


class Part(NamedTuple):
    """Some checkpoints of one shelf.

    Attributes:
        name: of the part in file names: source, number of the shelf in its store and, of a
            chunk, its number.
        shelf: where they are stored.
        rows: theirs, ascending.
    """

    name: str
    shelf: Shelf
    rows: Int[np.ndarray, " rows"]


def chosen(
    stores: Mapping[str, TokenStore],
    num_models: int | None = None,
    epochs: Sequence[int] | None = None,
) -> list[Part]:
    """The checkpoints of a zoo that its settings choose, a part for each shelf that has any.

    Args:
        stores: by source; rows that their filters leave out are not chosen.
        num_models: training models of each source; held-out models are all taken; None takes all.
        epochs: checkpoints of each model; None takes all.

    Raises:
        ValueError: more models than there are, epochs that none has, or nothing is left.
    """
    parts = []
    for source, store in stores.items():
        limits = {split: num_models if split == "train" else None for split in SPLITS}
        by_split = [store.select(split, limit, epochs) for split, limit in limits.items()]
        for number, shelf in enumerate(store.architectures):
            rows = np.sort(np.concatenate([split[number] for split in by_split]))
            if len(rows):
                parts.append(Part(f"{source}.{number}", shelf, rows))
    if not parts:
        raise ValueError("no checkpoint is left of this zoo; take more models, epochs or filters")
    return parts


def chunks(part: Part) -> Iterator[Part]:
    """A part in pieces whose tokens take 64 MB at most, or are of one model; always the same."""
    layout = part.shelf.layout
    size = min(CHUNK_MODELS, max(1, CHUNK_VALUES // (layout.num_tokens * layout.d_token or 1)))
    for number, start in enumerate(range(0, len(part.rows), size)):
        rows = part.rows[start : start + size]
        yield Part(f"{part.name}.{number:05d}", part.shelf, rows)


def columns_of(part: Part) -> Columns:
    """What is known of the checkpoints of a part; `IDENTITY` and the zoo's properties."""
    shelf, rows = part.shelf, part.rows
    models = shelf.models[rows].astype(str)
    architecture = shelf.architecture.name if shelf.architecture else "unknown"
    known = {
        f"zoo::{name}" if name in TAKEN else name: column[rows]
        for name, column in sorted(shelf.properties.items())
    }
    return known | {
        "source": np.full(len(rows), shelf.source),
        "architecture": np.full(len(rows), architecture),
        "model": models,
        "epoch": shelf.epochs[rows],
        "split": np.array([split_of(name) for name in models]),
        "row": rows,
    }


def joined(tables: Sequence[Columns]) -> Columns:
    """Tables below each other; a column that one of them lacks is missing there.

    A column that is text in one of them is text in all.
    """
    names = dict.fromkeys([*IDENTITY, *sorted({name for table in tables for name in table})])
    return {name: _joined(name, tables) for name in names}


def _joined(name: str, tables: Sequence[Columns]) -> np.ndarray:
    pieces = [table[name] for table in tables if name in table]
    text = any(piece.dtype.kind == "U" for piece in pieces)
    missing = "" if text else np.nan
    filled = [table.get(name, np.full(len(table["model"]), missing)) for table in tables]
    return np.concatenate([piece.astype(str) if text else piece for piece in filled])


def varying(columns: Columns, wanted: Sequence[str] | None = None) -> list[str]:
    """Names of properties that tell checkpoints apart, those of most interest first.

    Args:
        columns: of all checkpoints.
        wanted: names to take instead, as they are; None takes all that vary.

    Raises:
        ValueError: a name that there is not.
    """
    if unknown := [name for name in wanted or () if name not in columns]:
        there = ", ".join(sorted(columns))
        raise ValueError(f"colours: no checkpoint has {unknown[0]}; there is: {there}")
    if wanted:
        return list(wanted)
    first = [name for name in INTERESTING if name in columns]
    names = dict.fromkeys([*first, *sorted(set(columns) - {"row", "model"})])
    found = [name for name in names if len(set(columns[name].tolist())) > 1]
    return found or ["epoch"]
