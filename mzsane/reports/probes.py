"""Tables of probes: targets down, what they are predicted from across."""

import math
from collections.abc import Iterable, Sequence

from mzsane.reports.pages import Sheet
from mzsane.reports.tables import ABSENT, Row, grouped

METRICS = {
    "r2": "R², 1 is perfect and 0 what the mean achieves",
    "kendall_tau": "Kendall's tau-b, 1 is the right order and 0 a random one",
    "accuracy": "share of right answers",
}
READING = (
    "Of test models, which no probe has seen; in brackets the 95 % interval of a bootstrap over "
    "models, not checkpoints."
)


def probe_sheets(rows: Sequence[Row]) -> list[Sheet]:
    """One table per scope and metric, with the reasons for what is missing below it.

    Args:
        rows: of the table of probes, one for each target, features, regressor and metric.
    """
    sheets = []
    for scope, own in grouped(rows, lambda row: str(row["scope"])).items():
        for metric, measured in grouped(own, lambda row: str(row["metric"])).items():
            if metric:
                sheets.append(_sheet(f"{scope}: {METRICS[metric]}", measured))
        remarks = tuple(dict.fromkeys(_remarks(own)))
        if remarks:
            sheets.append(Sheet(f"remarks on {scope}", (), (), remarks))
    return sheets


def _sheet(title: str, rows: Sequence[Row]) -> Sheet:
    methods = grouped(rows, _method)
    lines = []
    for target, own in grouped(rows, lambda row: str(row["target"])).items():
        cells = {_method(row): _cell(row) for row in own}
        lines.append((target, *(cells.get(method, ABSENT) for method in methods)))
    return Sheet(title, ("target", *methods), tuple(lines), (READING,))


def _method(row: Row) -> str:
    """What is predicted from, and by what where it is not a linear model."""
    if row["features"] == "none":
        return "no features"
    return f"{row['features']}" if row["regressor"] == "linear" else f"{row['features']}, trees"


def _cell(row: Row) -> str:
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    if math.isnan(value):
        return ABSENT
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _remarks(rows: Iterable[Row]) -> Iterable[str]:
    """Why something was not measured, or what is to be known of it."""
    for row in rows:
        if note := str(row["note"]):
            what = row["features"] or row["target"]
            yield f"{what}: {note}"
