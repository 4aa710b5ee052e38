"""Tables of probes: for each target, what it was predicted from and how well."""

import math
import re
from collections.abc import Iterator, Sequence

from mzsane.reports.pages import Sheet
from mzsane.reports.tables import ABSENT, Row, grouped

METRICS = {"r2": "R²", "kendall_tau": "Kendall's tau-b", "accuracy": "accuracy"}
SCALES = {
    "r2": "R²: 1 is perfect, 0 what the mean of the test models achieves, less is worse than that.",
    "kendall_tau": "Kendall's tau-b: 1 is the right order, 0 a random one, -1 the reverse.",
    "accuracy": "accuracy: share of right answers.",
}
GUESS = "no features"
BY = {"linear": "", "logit_linear": "logit-linear", "network": "network", "boosting": "trees"}
TWINS = {"stats_unterthiner", "stats_nfn"}
_CONSTANT = re.compile(r"constant (\(.*\))(.*)")


def probe_sheets(rows: Sequence[Row]) -> list[Sheet]:
    """A table for the numbers of a scope and one for its classes, then what was not measured.

    Args:
        rows: of the table of probes, one for each target, features, regressor and metric.
    """
    sheets = []
    for scope, own in grouped(rows, lambda row: str(row["scope"])).items():
        measured = [row for row in own if row["metric"]]
        for task, found in grouped(measured, lambda row: str(row["task"])).items():
            sheets.append(_sheet(f"{scope}: {task}", found))
        if remarks := tuple(_remarks(own)):
            sheets.append(Sheet(f"remarks on {scope}", (), (), remarks))
    return sheets


def _sheet(title: str, rows: Sequence[Row]) -> Sheet:
    metrics = list(dict.fromkeys(str(row["metric"]) for row in rows))
    lines = []
    for target, own in grouped(rows, lambda row: str(row["target"])).items():
        for number, (method, of_method) in enumerate(grouped(own, _method).items()):
            cells = {str(row["metric"]): _cell(row) for row in of_method}
            shown = (cells.get(metric, ABSENT) for metric in metrics)
            lines.append(("" if number else target, method, *shown))
    header = ("target", "predicted from", *(METRICS[metric] for metric in metrics))
    return Sheet(title, header, tuple(lines), tuple(_reading(rows, metrics)))


def _reading(rows: Sequence[Row], metrics: Sequence[str]) -> Iterator[str]:
    """How the numbers of a table are to be read."""
    models = sorted({int(row["test_models"]) for row in rows})
    many = f"{models[0]}" if len(models) == 1 else f"{models[0]} to {models[-1]}"
    yield (
        f"Of {many} test models, which no probe has seen; in brackets the 95 % interval of a "
        "bootstrap over models, not checkpoints."
    )
    yield " ".join(SCALES[metric] for metric in metrics)
    yield f"{GUESS}: the mean of the training models, or their most frequent class."
    if {str(row["features"]) for row in rows} >= TWINS:
        yield (
            f"{' and '.join(sorted(TWINS))} differ in the divisor of their variances, which scales "
            "columns; no probe sees the scale of a column."
        )


def _method(row: Row) -> str:
    """What is predicted from, and by what where it is not a linear model."""
    if row["features"] == "none":
        return GUESS
    by = BY[str(row["regressor"])]
    return f"{row['features']}, {by}" if by else f"{row['features']}"


def _cell(row: Row) -> str:
    value, low, high = (float(row[name]) for name in ("value", "low", "high"))
    if math.isnan(value):
        return ABSENT
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _remarks(rows: Sequence[Row]) -> Iterator[str]:
    """Why something was not measured, or what is to be known of it; a sentence for each reason."""
    found: dict[str, dict[str, None]] = {}
    for reason, what in (_reason(row) for row in rows if row["note"]):
        found.setdefault(reason, {})[what] = None
    for reason, about in found.items():
        yield f"{', '.join(about)}: {reason}"


def _reason(row: Row) -> tuple[str, str]:
    """Reason and what it is about; the value of what is constant belongs to the latter."""
    what, note = str(row["features"] or row["target"]), str(row["note"])
    if found := _CONSTANT.fullmatch(note):
        return f"constant{found[2]}", f"{what} {found[1]}"
    return note, what
