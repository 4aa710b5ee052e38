"""The metrics of a run that was interrupted and resumed, as one table."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mzsane.files import replacing

Metrics = Mapping[str, float]
"""What was logged together: ``step``, ``epoch`` and some of ``stage/quantity``."""

_INDEX = ("epoch", "step")


def merge_metrics(folder: Path, target: Path) -> None:
    """Join the tables that Lightning's CSVLogger wrote, one for each time the run was started.

    A resumed run repeats the steps after its checkpoint: from the first step of a later version
    on, its rows replace those of earlier versions. Cells are copied as text. Merging again gives
    the same file, which is replaced whole.

    Args:
        folder: holds ``version_0/metrics.csv``, ``version_1/metrics.csv``, ...; a version that was
            stopped before it logged anything has no table and is passed over.
        target: the joint table; its folder is made.

    Raises:
        FileNotFoundError: no version has a table.
        ValueError: a row has no step, or more cells than the header.
    """
    merged: list[dict[str, str]] = []
    for path in _versions(folder):
        rows = list(_rows(path))
        first = min((int(row["step"]) for row in rows), default=math.inf)
        merged = [row for row in merged if int(row["step"]) < first] + rows
    columns = [*_INDEX, *sorted({name for row in merged for name in row} - set(_INDEX))]
    with replacing(target) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(merged)


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics table, without their empty cells.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a cell is no number, or a row has no step.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no table of metrics; merge those of a run's logs first")
    rows = list(_rows(path))
    try:
        return [{name: float(cell) for name, cell in row.items() if cell} for row in rows]
    except ValueError as error:
        raise ValueError(f"{path}: {error}; merge the run's logs anew") from error


def series(metrics: Sequence[Metrics], name: str) -> tuple[list[float], list[float]]:
    """Steps at which a quantity was logged, and its values."""
    logged = [(row["step"], row[name]) for row in metrics if name in row]
    return [step for step, _ in logged], [value for _, value in logged]


def quantities(metrics: Sequence[Metrics]) -> list[str]:
    """Names of everything that was logged, sorted."""
    return sorted({name for row in metrics for name in row} - set(_INDEX))


def _versions(folder: Path) -> list[Path]:
    """Tables in the order in which they were begun: version_10 comes after version_9."""
    numbered = {
        int(number): path
        for path in folder.glob("version_*/metrics.csv")
        if (number := path.parent.name.removeprefix("version_")).isdecimal()
    }
    if not numbered:
        raise FileNotFoundError(
            f"{folder}: no version_<n>/metrics.csv; give the folder of a run's CSV logger"
        )
    return [numbered[number] for number in sorted(numbered)]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a table; a last line that a killed process left without its end is not one."""
    *lines, _ = path.read_text().split("\n")
    for number, row in enumerate(csv.DictReader(lines), start=2):
        if None in row or not (row.get("step") or "").isdecimal():
            raise ValueError(f"{path}, line {number}: no row of metrics; remove the damaged table")
        yield row
