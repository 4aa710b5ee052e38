"""Frontiers and paired comparisons of an evaluation, arranged for reading."""

import math
from collections.abc import Sequence

from mzsane.reports.pages import Sheet
from mzsane.reports.tables import ABSENT, Row, grouped, title_of

FRONTIER = (
    "Area under the best accuracy at a novelty of at least t, for t from 0 to 1: 1 is a method "
    "with a model that is always right and as far from training models as these are from each "
    "other, 0 one that only copies. A sampler is of use where it reaches more than all baselines "
    "together. The best is found on test images, and more models reach more.",
)
COMPARED = (
    "Mean difference of accuracy over pairs of models, in percentage points, with its 95 % "
    "bootstrap interval; p is that of Wilcoxon's signed rank test, after Holm's correction for all "
    "methods that are compared with the same on the same images.",
)


def frontier_sheets(rows: Sequence[Row]) -> list[Sheet]:
    """A table for each source and protocol: methods down, image sets across.

    Args:
        rows: as `mzsane.evaluation.frontiers` returns.
    """
    return [
        _frontiers(f"{title}: frontier of accuracy and novelty", members)
        for title, members in grouped(rows, title_of).items()
    ]


def comparison_sheets(rows: Sequence[Row]) -> list[Sheet]:
    """A table for each source and protocol.

    Args:
        rows: as `mzsane.evaluation.compare` returns.
    """
    header = ("comparison", "images", "pairs", "difference", "95 % interval", "p")
    return [
        Sheet(
            f"{title}: paired comparisons",
            header,
            tuple(_comparison(row) for row in members),
            COMPARED,
        )
        for title, members in grouped(rows, title_of).items()
    ]


def _frontiers(title: str, rows: Sequence[Row]) -> Sheet:
    images = list(dict.fromkeys(str(row["images"]) for row in rows))
    lines = []
    for method, members in grouped(rows, lambda row: str(row["method"])).items():
        found = {row["images"]: float(row["frontier"]) for row in members}
        lines.append((method, *(_share(found.get(name, math.nan)) for name in images)))
    return Sheet(title, ("method", *images), tuple(lines), FRONTIER)


def _comparison(row: Row) -> tuple[str, ...]:
    low, high = (100 * float(row[name]) for name in ("low", "high"))
    return (
        f"{row['method']} against {row['with']}",
        str(row["images"]),
        str(row["n"]),
        f"{100 * float(row['difference']):+.1f}",
        f"[{low:+.1f}, {high:+.1f}]",
        _chance(float(row["p_holm"])),
    )


def _chance(p: float) -> str:
    return "< 0.0001" if p < 1e-4 else _share(p, 4)


def _share(value: float, digits: int = 3) -> str:
    return ABSENT if math.isnan(value) else f"{value:.{digits}f}"
