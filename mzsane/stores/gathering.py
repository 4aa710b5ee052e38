"""Reading a zoo's checkpoints into the spool, in parallel."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from mzsane.stores.crew import Crew
from mzsane.stores.journal import Journal, Refused, Spooled
from mzsane.stores.listing import place_of
from mzsane.stores.spool import Reading, read_rows
from mzsane.zoos import ModelRecord

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
    results = crew.map(partial(read_rows, dict(tokens), dtype), tasks)
    for task, rows in zip(tasks, results, strict=True):
        for record, row in zip(task.records, rows, strict=True):
            if isinstance(row, str):
                where = (record.model, record.epoch, record.stamp, place_of(record))
                journal.refuse(Refused(*where, row))
            else:
                kind = journal.add_kind(row.kind)
                spooled = Spooled(record.stamp, kind, row.place, row.facts)
                journal.add_row((record.model, record.epoch), spooled)
        yield len(rows)
