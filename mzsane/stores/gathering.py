"""Reading a zoo's checkpoints into the spool, in parallel."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from mzsane.architectures import Architecture
from mzsane.stores.crew import Crew
from mzsane.stores.journal import Journal, Kind, Refused, Spooled
from mzsane.stores.listing import place_of
from mzsane.stores.spool import Reading, read_rows
from mzsane.tokens import Layout
from mzsane.zoos import ModelRecord, recognise

TOGETHER = 32  # records of a task at most: what a killed run reads again, for each worker


def gather(
    records: Sequence[ModelRecord],
    journal: Journal,
    tokens: Mapping[str, Any],
    dtype: str,
    crew: Crew,
) -> Iterator[int]:
    """Read what the journal does not have yet, and yield how many after each task.

    Args:
        records: of the zoo.
        journal: told of every checkpoint.
        tokens: settings of `Layout.of`.
        dtype: of stored weights.
        crew: does the work.

    Raises:
        OSError: if the spool cannot be written.
    """
    done = journal.rows.keys() | journal.refused.keys()
    waiting = [record for record in records if (record.model, record.epoch) not in done]
    first = journal.unused_number()
    tasks = [
        Reading(waiting[part], journal.folder / f"{first + number}.rows")
        for number, part in enumerate(crew.split(len(waiting), TOGETHER))
    ]
    kinds = _Kinds()
    results = crew.map(partial(read_rows, dict(tokens), dtype), tasks)
    for task, rows in zip(tasks, results, strict=True):
        for record, row in zip(task.records, rows, strict=True):
            if isinstance(row, str):
                where = (record.model, record.epoch, record.stamp, place_of(record))
                journal.refuse(Refused(*where, row))
            else:
                kind = journal.add_kind(kinds.of(record, row.layout))
                spooled = Spooled(record.stamp, kind, row.place, row.facts)
                journal.add_row((record.model, record.epoch), spooled)
        yield len(rows)


class _Kinds:
    """Architectures of records that do not name theirs, each looked for once."""

    def __init__(self) -> None:
        self._recognised: dict[tuple[Any, ...], Architecture | None] = {}

    def of(self, record: ModelRecord, layout: Layout) -> Kind:
        if record.architecture is not None:
            return Kind(record.architecture, layout)
        described = {k: v for k, v in record.properties.items() if k.startswith("model::")}
        key = (layout, *sorted(described.items()))
        if key not in self._recognised:
            with torch.device("meta"):  # names and shapes are all that is looked at
                state = {name: torch.empty(shape) for name, shape, _ in layout.shapes}
            self._recognised[key] = recognise(state, described)
        return Kind(self._recognised[key], layout)
