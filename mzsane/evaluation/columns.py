"""What stands in the columns of an evaluation's tables, and in which unit."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mzsane.files import replacing

Kind = type[int] | type[float] | type[str]

SHARE = "share, in [0, 1]"
POINTS = "difference of shares"
SPACING = "spacing: mean distance of a training model to the nearest other"


class Column(NamedTuple):
    """A column of a table.

    Attributes:
        kind: type of its cells.
        unit: theirs; empty for names.
        meaning: of the column.
    """

    kind: Kind
    unit: str
    meaning: str


COLUMNS = {
    "source": Column(str, "", "zoo whose models are the training models"),
    "architecture": Column(str, "", "of the networks"),
    "method": Column(str, "", "that gave the models"),
    "family": Column(str, "", "of methods that differ in strength only, or else the method"),
    "kind": Column(str, "", "of method: zoo, baseline, reconstruction or sampler"),
    "protocol": Column(str, "", "by which they were evaluated"),
    "images": Column(str, "", "image set"),
    "split": Column(str, "", "of the images that are reported on"),
    "classes": Column(int, "count", "of the image set"),
    "model": Column(int, "", "number among those of the method, or of the ensemble"),
    "epochs": Column(float, "epochs", "of fine-tuning on train images; 0 is as drawn"),
    "members": Column(int, "count", "models that answer together: 1, or the size of an ensemble"),
    "accuracy": Column(float, SHARE, "of the images; NaN if broken"),
    "loss": Column(float, "nats", "cross-entropy; NaN if broken"),
    "finite": Column(int, "1 or 0", "0 is a broken model: a weight or the loss is not finite"),
    "mended": Column(int, "count", "running variances decoded to zero or less, and replaced"),
    "novelty": Column(float, SPACING, "distance to the nearest training model"),
    "nearest": Column(str, "", "that training model and its epoch"),
    "agreement": Column(float, SHARE, "of the images, for which that one predicts the same"),
    "error_overlap": Column(float, SHARE, "of the images that either mistakes, which both do"),
    "diversity": Column(float, SPACING, "mean distance to the other models of the method"),
    "disagreement": Column(float, SHARE, "of the images, mean over those, seen otherwise"),
    "anchors": Column(int, "count", "models that were sampled from"),
    "seed": Column(int, "", "of all draws"),
    "step": Column(int, "steps", "of the autoencoder's training"),
}
"""Those of `results.csv`, in their order."""

_LOW, _HIGH = "lower end of the 95 % bootstrap interval", "upper end of it"


def _known(*names: str) -> dict[str, Column]:
    return {name: COLUMNS[name] for name in names}


_SETTING = _known("source", "architecture", "protocol")
STATISTICS = {
    **_SETTING,
    **_known("method", "images", "epochs", "members", "kind"),
    "seeds": Column(int, "count", "different seeds among the rows"),
    "n": Column(int, "count", "models that are not broken"),
    "broken": Column(int, "count", "models that are left out of all numbers"),
    "mended": COLUMNS["mended"],
    "mean": Column(float, SHARE, "mean accuracy"),
    "std": Column(float, SHARE, "standard deviation of the sample; NaN for one model"),
    "best": Column(float, SHARE, "highest accuracy, found on test images"),
    "median": Column(float, SHARE, "median accuracy"),
    "low": Column(float, SHARE, f"{_LOW} of the mean"),
    "high": Column(float, SHARE, _HIGH),
    **_known("novelty", "diversity", "disagreement", "agreement", "error_overlap"),
}
"""Those of `statistics.csv`; novelty and what follows are means over models."""

COMPARISONS = {
    **_SETTING,
    **_known("images", "epochs", "members", "method"),
    "with": Column(str, "", "what it is compared with"),
    "test": Column(str, "", "signed rank of pairs (Wilcoxon), or Mann-Whitney of two samples"),
    "n": Column(int, "count", "models, or pairs of them"),
    "n_with": Column(int, "count", "models of what it is compared with"),
    "novelty": Column(float, SPACING, "mean novelty of the models"),
    "novelty_with": Column(float, SPACING, "mean novelty of those they are compared with"),
    "difference": Column(float, POINTS, "of mean accuracies"),
    "low": Column(float, POINTS, f"{_LOW} of the difference"),
    "high": Column(float, POINTS, _HIGH),
    "p": Column(float, "probability", "of the test, two-sided"),
    "p_holm": Column(float, "probability", "p after Holm's correction"),
}
"""Those of `comparisons.csv`."""

FRONTIER = {
    **_SETTING,
    **_known("images", "seed", "family", "kind"),
    "n": Column(int, "count", "models with accuracy and novelty"),
    "frontier": Column(float, "share x spacing", "area under what all of these reach"),
    "equal_n": Column(int, "count", "models drawn from every family, so that areas compare"),
    "equal": Column(float, "share x spacing", "area under what so many reach, mean over draws"),
    "low": Column(float, "share x spacing", "lower end of the middle 95 % of draws"),
    "high": Column(float, "share x spacing", _HIGH),
}
"""Those of `frontier.csv`."""

TABLES = {
    "results": COLUMNS,
    "statistics": STATISTICS,
    "comparisons": COMPARISONS,
    "frontier": FRONTIER,
}
"""Columns of each table by the name of its file, in their order."""


def write_columns(path: Path, tables: Iterable[str] = TABLES) -> None:
    """Write a Markdown table of the columns of some tables, with meanings and units.

    Args:
        path: the file; replaced whole.
        tables: names of `TABLES`.
    """
    lines = ["# Columns"]
    for table in tables:
        lines += ["", f"## {table}.csv", "", "| column | meaning | unit |", "|---|---|---|"]
        for name, (_, unit, meaning) in TABLES[table].items():
            lines.append(f"| {name} | {meaning} | {unit or 'a name'} |")
    with replacing(path) as partial:
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
