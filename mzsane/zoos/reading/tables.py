"""Tables of properties that come with a folder of weights: CSV, JSON or JSON lines.

A row names its model in one of the columns ``model``, ``file``, ``path`` or ``name``, and may name
one epoch in ``epoch``. All other columns are properties: numbers become floats, empty cells are no
values. A JSON file holds a list of rows, or rows by name.
"""

import csv
import io
import json
import math
from collections.abc import Mapping
from posixpath import normpath
from typing import Any, NamedTuple

from mzsane.zoos.reading.results import scalars
from mzsane.zoos.reading.trees import Tree

TABLES = ("properties.csv", "properties.json", "properties.jsonl")
KEYS = ("model", "file", "path", "name")


class Row(NamedTuple):
    """What a table says about a model.

    Attributes:
        where: file and number of the row, counted from 1.
        name: of the model or its file.
        epoch: that the row is about; None for all.
        properties: by column.
    """

    where: str
    name: str
    epoch: int | None
    properties: dict[str, float | str]


def find_table(folder: Tree) -> Tree | None:
    """The table that lies in a folder, if there is one.

    Raises:
        ValueError: if there are several.
    """
    found = [folder / name for name in TABLES if (folder / name).is_file()]
    if len(found) > 1:
        raise ValueError(
            f"{folder} has {' and '.join(file.name for file in found)}; keep one, or say which by "
            "properties=..."
        )
    return found[0] if found else None


def read_table(file: Tree) -> list[Row]:
    """The rows of a table.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it cannot be understood.
    """
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such table of properties")
    try:
        rows = _READERS[file.suffix.lower()](file.read_text().removeprefix("\ufeff"))
    except KeyError as error:
        raise ValueError(
            f"{file}: a table of properties ends with .csv, .json or .jsonl"
        ) from error
    except (ValueError, csv.Error) as error:
        raise ValueError(f"{file}: not a table of properties: {error}") from error
    return [_row(f"{file}, row {number}", values) for number, values in enumerate(rows, start=1)]


def _csv(text: str) -> list[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    rows = []
    for number, row in enumerate(reader, start=1):
        if "" in row or None in row.values():
            raise ValueError(f"row {number} has not as many cells as there are columns")
        rows.append({key: value if key in KEYS else _number(value) for key, value in row.items()})
    return rows


def _json(text: str) -> list[dict[str, Any]]:
    document = json.loads(text)
    if isinstance(document, dict):
        document = [{"model": name} | _mapping(row) for name, row in document.items()]
    if not isinstance(document, list):
        raise ValueError("neither a list of rows nor rows by name")
    return [_mapping(row) for row in document]


def _jsonl(text: str) -> list[dict[str, Any]]:
    return [_mapping(json.loads(line)) for line in text.splitlines() if line.strip()]


_READERS = {".csv": _csv, ".json": _json, ".jsonl": _jsonl}


def _mapping(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError(f"{str(row)[:40]!r} is no row, that is, no mapping from columns to values")
    return row


def _number(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell.strip()


def _row(where: str, values: Mapping[str, Any]) -> Row:
    key = next((key for key in KEYS if values.get(key) not in (None, "")), None)
    if key is None:
        raise ValueError(f"{where}: it names no model in a column {', '.join(KEYS)}")
    epoch = values.get("epoch")
    if epoch in (None, ""):
        epoch = None
    elif not isinstance(epoch, int | float) or not math.isfinite(epoch) or epoch != int(epoch):
        raise ValueError(f"{where}: epoch {epoch!r} is not a whole number")
    properties = scalars({k: v for k, v in values.items() if k not in (key, "epoch") and v != ""})
    name = normpath(str(values[key]).strip().replace("\\", "/"))
    return Row(where, name, None if epoch is None else int(epoch), properties)
