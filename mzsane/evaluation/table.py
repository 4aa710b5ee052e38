"""The results table: one row per model, image set and method, kept as CSV."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mzsane.evaluation.columns import TABLES, Kind
from mzsane.files import replacing

Value = str | int | float
Row = dict[str, Value]

TYPES: dict[str, Kind] = {
    name: column.kind for columns in TABLES.values() for name, column in columns.items()
}
"""Of cells, by their column, which has the same in all tables."""


def family_of(row: Mapping[str, Value]) -> str:
    """Of the method that a row is about; tables of earlier versions name none."""
    return str(row.get("family", row["method"]))


def grouped(
    rows: Iterable[Mapping[str, Value]], columns: Sequence[str]
) -> dict[tuple[Value, ...], list[Mapping[str, Value]]]:
    """Rows by the values of some columns, in order of first appearance."""
    groups: dict[tuple[Value, ...], list[Mapping[str, Value]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in columns), []).append(row)
    return groups


def write_rows(path: Path, rows: Sequence[Mapping[str, Value]]) -> None:
    """Write the table under a temporary name and rename it, so that readers see all of it or none.

    Args:
        path: the file; its folder is made.
        rows: all with the keys of the first, which become the header.

    Raises:
        ValueError: there are no rows, or their keys differ.
    """
    if not rows:
        raise ValueError(f"{path}: no results to write; evaluate at least one method")
    with replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path: Path) -> list[Row]:
    """Inverse of `write_rows`; floats come back bit for bit.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a cell of a numeric column is no number.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no results table; train with callbacks=default, which evaluates"
        )
    with path.open(newline="") as file:
        return [_parse(row, path, line) for line, row in enumerate(csv.DictReader(file), start=2)]


def _parse(row: dict[str, str], path: Path, line: int) -> Row:
    """Text of one line as typed values."""
    try:
        return {key: TYPES.get(key, str)(value) for key, value in row.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}, line {line}: {error}; write the table anew") from error
