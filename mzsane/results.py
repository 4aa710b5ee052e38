"""What an evaluation found, from its table: statistics, comparisons, frontiers, figures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mzsane.evaluation import Row
    from mzsane.reports import Sheet


class Found(NamedTuple):
    """What a summary shows of an evaluation.

    Attributes:
        statistics: as `mzsane.evaluation.summarise` returns, of the end of each protocol.
        sheets: further tables.
    """

    statistics: "list[Row]"
    sheets: "list[Sheet]"


def describe(folder: Path, rows: "Sequence[Row]") -> Found:
    """Write `statistics.csv`, `comparisons.csv`, `frontier.csv`, `columns.md` and the figures.

    Args:
        folder: of the run.
        rows: of one evaluation.
    """
    from mzsane.evaluation import (
        compare,
        final,
        frontiers,
        summarise,
        write_columns,
        write_rows,
    )
    from mzsane.reports import comparison_sheets, frontier_sheets

    last = final(rows)
    tables = {
        "statistics": summarise(rows),
        "comparisons": compare(rows),
        "frontier": frontiers(last),
    }
    for name, table in tables.items():
        if table:
            write_rows(folder / f"{name}.csv", table)
    write_columns(folder / "columns.md")
    _draw(folder, rows, last)
    compared = [row for row in tables["comparisons"] if _is_last(row, last)]
    sheets = [*frontier_sheets(tables["frontier"]), *comparison_sheets(compared)]
    return Found(summarise(last), sheets)


def _draw(folder: Path, rows: "Sequence[Row]", last: "Sequence[Row]") -> None:
    """One figure of accuracy and novelty for each protocol, and the way of fine-tuning."""
    from mzsane.evaluation import points_of, staircase
    from mzsane.reports import accuracy_novelty, finetuning_curves

    classes = {row["images"]: row["classes"] for row in rows}
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        mine = [row for row in last if row["protocol"] == protocol]
        name = "accuracy_novelty" + ("" if protocol == "zero_shot" else f"_{protocol}")
        accuracy_novelty(
            mine, folder / f"{name}.png", classes, lambda some: staircase(points_of(some))
        )
        curve = [row for row in rows if row["protocol"] == protocol]
        if len({row["epochs"] for row in curve}) > 1:
            finetuning_curves(curve, folder / f"curves_{protocol}.png")


def _is_last(row: "Mapping[str, object]", last: "Sequence[Row]") -> bool:
    """Whether a comparison is of the end of fine-tuning."""
    key = ("source", "architecture", "protocol", "images", "epochs")
    return tuple(row[name] for name in key) in {tuple(one[name] for name in key) for one in last}
