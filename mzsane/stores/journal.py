"""What an unfinished store has on disk, so that a run which was killed goes on where it was.

Lines of JSON, each written when the rows it speaks of are in their files::

    {"plan": ...}       first line: what is to be made; another plan discards everything
    {"kind": ...}       an architecture and a layout, numbered by order
    {"read": ...}       a checkpoint and the place of its row
    {"refused": ...}    a checkpoint that cannot be stored, and why
    {"zoo": ...}        members of the zoo when aligning began, which decide the reference
    {"aligned": ...}    a row that was replaced by its canonical form

A row counts only if its checksum is the one in the journal: rows are replaced in place, and a run
can be killed between a row and its line. What does not count is read from the zoo again.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mzsane.architectures import Architecture
from mzsane.stores.kinds import Kind
from mzsane.stores.spool import Facts, Place, is_whole, row_bytes
from mzsane.tokens import Layout
from mzsane.zoos import ModelRecord

NAME = "journal.jsonl"

Key = tuple[str, int]
"""A checkpoint: model and epoch."""


class Spooled(NamedTuple):
    """A checkpoint on disk; similarities to the reference are None before it is aligned."""

    stamp: str
    kind: int
    place: Place
    facts: Facts
    similarity: tuple[float, float] | None = None


class Refused(NamedTuple):
    """A checkpoint that cannot be stored, remembered so that it is not read again and again."""

    model: str
    epoch: int
    stamp: str
    path: str
    reason: str


@dataclass
class Journal:
    """The state of an unfinished store; every change is written down at once.

    Attributes:
        folder: of the journal and the rows.
        kinds: in the order in which they were met.
        rows: checkpoints on disk.
        refused: checkpoints that cannot be stored.
        zoo: digest of the members when aligning began; empty before.
    """

    folder: Path
    kinds: list[Kind] = field(default_factory=list)
    rows: dict[Key, Spooled] = field(default_factory=dict)
    refused: dict[Key, Refused] = field(default_factory=dict)
    zoo: str = ""

    @classmethod
    def resume(cls, folder: Path, plan: str) -> "Journal | None":
        """What a killed run left; None if it left nothing, or was to make something else."""
        if not (folder / NAME).exists():
            return None
        whole, _, _ = (folder / NAME).read_text().rpartition("\n")  # a last line may be cut short
        lines = whole.splitlines(keepends=True)
        if not lines or lines[0].rstrip() != _line("plan", plan).rstrip():
            return None
        (folder / NAME).write_text(whole + "\n")
        journal = cls(folder)
        for line in lines[1:]:
            [(kind, values)] = json.loads(line).items()
            _APPLY[kind](journal, values)
        return journal

    @classmethod
    def start(cls, folder: Path, plan: str) -> "Journal":
        """An empty one in an empty folder."""
        journal = cls(folder)
        journal._write(_line("plan", plan))
        return journal

    def keep(self, records: Sequence[ModelRecord], zoo: str, dtype: str) -> None:
        """Forget what is no longer in the zoo as it was read, or not whole on disk.

        Args:
            records: what the zoo holds.
            zoo: their digest; with another one, aligned rows may have another reference.
            dtype: of stored weights.
        """
        listed = {(record.model, record.epoch): record for record in records}
        stale = self.zoo not in ("", zoo)
        self.refused = {
            key: one
            for key, one in self.refused.items()
            if key in listed and one.stamp == listed[key].stamp != ""
        }
        self.rows = {
            key: row
            for key, row in self.rows.items()
            if key in listed
            and row.stamp == listed[key].stamp != ""
            and listed[key].architecture in (None, self.kinds[row.kind].architecture)
            and not (stale and row.similarity)
            and is_whole(self.folder, row.place, row_bytes(self.kinds[row.kind].layout, dtype))
        }

    def add_kind(self, kind: Kind) -> int:
        """The number of a kind, a new one if it was not met before."""
        if kind not in self.kinds:
            built = kind.architecture.to_json() if kind.architecture else None
            self._log("kind", [built, kind.layout.to_json(), kind.remark])
        return self.kinds.index(kind)

    def add_row(self, key: Key, row: Spooled) -> None:
        """A checkpoint was read."""
        self._log("read", [*key, row.stamp, row.kind, row.place, row.facts])

    def refuse(self, refused: Refused) -> None:
        """A checkpoint cannot be stored."""
        self._log("refused", refused)

    def begin_aligning(self, zoo: str) -> None:
        """From here on rows are replaced."""
        if zoo != self.zoo:
            self._log("zoo", zoo)

    def add_aligned(self, key: Key, checksum: int, similarity: tuple[float, float]) -> None:
        """A row was replaced by its canonical form."""
        self._log("aligned", [*key, checksum, similarity])

    def unused_number(self) -> int:
        """From which on no file of rows has a number."""
        return max((int(path.stem) + 1 for path in self.folder.glob("*.rows")), default=0)

    def _log(self, kind: str, values: Any) -> None:
        line = _line(kind, values)
        self._write(line)
        _APPLY[kind](self, json.loads(line)[kind])

    def _write(self, line: str) -> None:
        with (self.folder / NAME).open("a") as file:
            file.write(line)


def _line(kind: str, values: Any) -> str:
    return json.dumps({kind: values}) + "\n"


def _kind(journal: Journal, values: list[Any]) -> None:
    built, layout, remark = values
    architecture = Architecture.from_json(built) if built else None
    journal.kinds.append(Kind(architecture, Layout.from_json(layout), remark))


def _read(journal: Journal, values: list[Any]) -> None:
    model, epoch, stamp, kind, place, facts = values
    journal.rows[model, epoch] = Spooled(stamp, kind, Place(*place), Facts(*facts))


def _refused(journal: Journal, values: list[Any]) -> None:
    refused = Refused(*values)
    journal.refused[refused.model, refused.epoch] = refused


def _zoo(journal: Journal, digest: str) -> None:
    journal.zoo = digest


def _aligned(journal: Journal, values: list[Any]) -> None:
    model, epoch, checksum, similarity = values
    row = journal.rows[model, epoch]
    place = row.place._replace(checksum=checksum)
    journal.rows[model, epoch] = row._replace(place=place, similarity=tuple(similarity))


_APPLY: dict[str, Callable[[Journal, Any], None]] = {
    "kind": _kind,
    "read": _read,
    "refused": _refused,
    "zoo": _zoo,
    "aligned": _aligned,
}
