"""What goes onto one shelf, before it is written: rows of the spool, and rows of an older store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from mzsane.architectures import Architecture
from mzsane.stores.journal import Journal, Key
from mzsane.stores.shelf import Shelf
from mzsane.stores.spool import Facts, Place, load_row
from mzsane.tokens import Layout
from mzsane.zoos import ModelRecord


class Member(NamedTuple):
    """A checkpoint to be stored.

    Attributes:
        key: model and epoch.
        stamp: of its file, hashed; 0 if unknown.
        properties: of its record, and what was measured on its weights.
        rounding: absolute and relative, see `Facts`.
        similarity: to the reference before and after aligning; None if it is not aligned yet.
        at: in the spool, or its row on the shelf of an older store.
    """

    key: Key
    stamp: int
    properties: dict[str, float | str]
    rounding: tuple[float, float]
    similarity: tuple[float, float] | None
    at: Place | int


@dataclass(frozen=True)
class Pile:
    """All checkpoints of one architecture, ordered by model and epoch.

    Attributes:
        folder: of the spool.
        layout: of every row.
        architecture: how to build it, if known.
        dtype: of stored weights.
        members: in the order in which they are stored.
        shelf: of an older store, whose rows are carried over; None if there is none.
        remarks: how the architecture is known, where the zoo does not say.
    """

    folder: Path
    layout: Layout
    architecture: Architecture | None
    dtype: str
    members: tuple[Member, ...]
    shelf: Shelf | None = None
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Of the architecture, for people."""
        return self.architecture.name if self.architecture else "unknown"

    @property
    def waiting(self) -> list[Member]:
        """Those that are not aligned yet."""
        return [each for each in self.members if isinstance(each.at, Place) and not each.similarity]

    def row(self, member: Member) -> tuple[np.ndarray, Int64[np.ndarray, " values"]]:
        """Weights and buffers."""
        if isinstance(member.at, int):
            assert self.shelf is not None
            return self.shelf.weights[member.at], self.shelf.integers[member.at]
        return load_row(self.folder, member.at, self.layout, self.dtype)


def piles_of(
    journal: Journal, records: Sequence[ModelRecord], old: Sequence[Shelf], dtype: str
) -> list[Pile]:
    """One pile for each architecture, in the order of their first models.

    Args:
        journal: everything that was read.
        records: of what was read, for what is known of it besides its weights.
        old: shelves of which every row is carried over.
        dtype: of stored weights.
    """
    known = {(record.model, record.epoch): record for record in records}
    members: dict[tuple[str, Layout], list[Member]] = {}
    facts: dict[tuple[str, Layout], tuple[Layout, Architecture | None, Shelf | None]] = {}
    remarks: dict[tuple[str, Layout], dict[str, None]] = {}
    for shelf in old:
        key = _key(shelf.architecture, shelf.layout)
        facts[key] = (shelf.layout, shelf.architecture, shelf)
        members[key] = _carried(shelf)
        remarks[key] = dict.fromkeys(shelf.recognised)
    for row_key, row in journal.rows.items():
        kind, record = journal.kinds[row.kind], known[row_key]
        key = _key(kind.architecture, kind.layout)
        # the record's own, because what comes from a file is never trusted
        facts.setdefault(key, (kind.layout, record.architecture or kind.architecture, None))
        if kind.remark:
            remarks.setdefault(key, {})[kind.remark] = None
        rounding = (row.facts.rounding, row.facts.relative)
        stamp = stamp_number(record.stamp)
        properties = record.properties | measured(row.facts)
        member = Member(row_key, stamp, properties, rounding, row.similarity, row.place)
        members.setdefault(key, []).append(member)
    piles = [
        Pile(
            journal.folder,
            layout,
            built,
            dtype,
            tuple(sorted(members[key])),
            shelf,
            tuple(remarks.get(key, ())),
        )
        for key, (layout, built, shelf) in facts.items()
    ]
    return _one_size(sorted(piles, key=lambda pile: pile.members[0].key))


def stamp_number(stamp: str) -> int:
    """A stamp as 63 bits; 0 for none."""
    return int.from_bytes(sha256(stamp.encode()).digest()[:8]) >> 1 if stamp else 0


def measured(facts: Facts) -> Mapping[str, float]:
    """Properties of the weights themselves."""
    return {"weights::max_abs": facts.max_abs, "weights::norm": facts.norm}


def _key(architecture: Architecture | None, layout: Layout) -> tuple[str, Layout]:
    """What decides the shelf; the token size is the same on all."""
    return architecture.fingerprint if architecture else "", replace(layout, size=1)


def _carried(shelf: Shelf) -> list[Member]:
    ledger = shelf.ledger
    return [
        Member(
            (str(shelf.models[row]), int(shelf.epochs[row])),
            int(ledger.stamps[row]),
            _properties(shelf, row),
            tuple(ledger.rounding[row].tolist()),
            None
            if np.isnan(ledger.similarity[row]).any()
            else tuple(ledger.similarity[row].tolist()),
            row,
        )
        for row in range(len(shelf))
    ]


def _properties(shelf: Shelf, row: int) -> dict[str, float | str]:
    """Those that are known."""
    values = {name: column[row].item() for name, column in shelf.properties.items()}
    return {name: value for name, value in values.items() if value not in ("",) and value == value}


def _one_size(piles: Sequence[Pile]) -> list[Pile]:
    """The largest token size for all; stored weights do not depend on it."""
    largest = max((pile.layout.d_token for pile in piles), default=0)
    return [replace(pile, layout=replace(pile.layout, size=largest)) for pile in piles]
