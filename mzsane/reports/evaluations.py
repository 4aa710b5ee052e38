"""Frontiers and paired comparisons of an evaluation, arranged for reading."""

import math
from collections.abc import Callable, Sequence

from mzsane.reports.pages import Sheet
from mzsane.reports.tables import ABSENT, Row, grouped, title_of

FRONTIER = (
    "Area under the best accuracy at a novelty of at least t, for t from 0 to 1: 1 is a method "
    "with a model that is always right and as far from training models as these are from each "
    "other, 0 one that only copies. More models reach more, and the best are found on test images. "
    "So the areas are those of equally many models, drawn with replacement from each family of "
    "methods that differ in strength only: their mean and, in brackets, the middle 95 % of draws. "
    "All baselines together have as many of each family, which is more. A sampler that has one "
    "strength reaches little beside a sweep of noise; give it several.",
)
COMPARED = (
    "Mean difference of accuracy over pairs of models, in percentage points, with its 95 % "
    "bootstrap interval; p is that of Wilcoxon's signed rank test, after Holm's correction for all "
    "methods that are compared with the same on the same images. Refinement of latents passes as "
    "many images through each network as the fine-tuning beside it; that budget does not count its "
    "two forward passes and one backward pass of the decoder at every step.",
)
NEAREST = (
    "Each sampler beside the trivial baseline whose mean novelty is nearest to its own, of those "
    "with two models or more: difference of mean accuracies in percentage points, its 95 % "
    "bootstrap interval (both sides resampled), and p of Mann and Whitney's test, after Holm's "
    "correction for all samplers on the same images. Where novelties differ, the lower one is at "
    "an advantage.",
)
PAIRED, BESIDE = "signed rank", "Mann-Whitney"


def frontier_sheets(rows: Sequence[Row]) -> list[Sheet]:
    """A table for each source and protocol: methods down, image sets across.

    Args:
        rows: as `mzsane.evaluation.frontiers` returns.
    """
    return [
        _frontiers(f"{title}: frontier of accuracy and novelty", members)
        for title, members in grouped(rows, _population(rows)).items()
    ]


def comparison_sheets(rows: Sequence[Row]) -> list[Sheet]:
    """Tables for each source and protocol: of pairs, and of samplers beside baselines.

    Args:
        rows: as `mzsane.evaluation.compare` returns.
    """
    sheets = []
    for title, members in grouped(rows, title_of).items():
        by_test = grouped(members, lambda row: str(row["test"]))
        if beside := by_test.get(BESIDE):
            lines = tuple(map(_beside, beside))
            told = f"{title}: samplers beside the baseline of nearest novelty"
            sheets.append(Sheet(told, _BESIDE, lines, NEAREST))
        if paired := by_test.get(PAIRED):
            told = f"{title}: paired comparisons"
            sheets.append(Sheet(told, _PAIRED, tuple(map(_comparison, paired)), COMPARED))
    return sheets


_PAIRED = ("comparison", "images", "pairs", "difference", "95 % interval", "p")
_BESIDE = (
    "sampler", "images", "n", "novelty", "baseline", "its n", "its novelty",
    "difference", "95 % interval", "p",
)  # fmt: skip


def _population(rows: Sequence[Row]) -> Callable[[Row], str]:
    """Titles that tell seeds apart where there are several."""
    several = len({row["seed"] for row in rows}) > 1
    return lambda row: title_of(row) + (f", seed {row['seed']}" if several else "")


def _frontiers(title: str, rows: Sequence[Row]) -> Sheet:
    images = list(dict.fromkeys(str(row["images"]) for row in rows))
    lines = []
    for family, members in grouped(rows, lambda row: str(row["family"])).items():
        found = {row["images"]: _area(row) for row in members}
        counts = (" / ".join(dict.fromkeys(str(row[n]) for row in members)) for n in _COUNTS)
        lines.append((family, *(found.get(name, ABSENT) for name in images), *counts))
    return Sheet(title, ("family", *images, "models", "of"), tuple(lines), FRONTIER)


_COUNTS = ("equal_n", "n")


def _area(row: Row) -> str:
    """Of equally many models, with its interval."""
    middle, low, high = (float(row[name]) for name in ("equal", "low", "high"))
    return ABSENT if math.isnan(middle) else f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def _beside(row: Row) -> tuple[str, ...]:
    difference, interval, p = _certainty(row)
    ours, theirs = (f"{float(row[name]):.2f}" for name in ("novelty", "novelty_with"))
    named = (str(row["method"]), str(row["images"]), str(row["n"]), ours)
    return (*named, str(row["with"]), str(row["n_with"]), theirs, difference, interval, p)


def _comparison(row: Row) -> tuple[str, ...]:
    told = f"{row['method']} against {row['with']}"
    return (told, str(row["images"]), str(row["n"]), *_certainty(row))


def _certainty(row: Row) -> tuple[str, str, str]:
    """Difference, its interval, and the chance of it."""
    low, high = (100 * float(row[name]) for name in ("low", "high"))
    difference = f"{100 * float(row['difference']):+.1f}"
    return difference, f"[{low:+.1f}, {high:+.1f}]", _chance(float(row["p_holm"]))


def _chance(p: float) -> str:
    if math.isnan(p):
        return ABSENT
    return "< 0.0001" if p < 1e-4 else f"{p:.4f}"
