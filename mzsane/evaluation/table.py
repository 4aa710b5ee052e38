"""The results table: one row per model, image set and method, kept as CSV."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mzsane.files import replacing

Value = str | int | float
Row = dict[str, Value]

Kind = type[int] | type[float] | type[str]

COLUMNS: dict[str, tuple[Kind, str]] = {
    "source": (str, "of the zoo whose models are the training models"),
    "architecture": (str, "of the networks"),
    "method": (str, "that gave the models"),
    "kind": (str, "of method: zoo, baseline, reconstruction or sampler"),
    "protocol": (str, "by which they were evaluated"),
    "images": (str, "image set"),
    "split": (str, "of the images that are reported on"),
    "classes": (int, "of the image set"),
    "model": (int, "number of the model among those of its method, or of the ensemble"),
    "epochs": (float, "passes over the train images that it was fine-tuned for; 0 is as drawn"),
    "members": (int, "models that answer together: 1, or the size of an ensemble"),
    "accuracy": (float, "share of the images in [0, 1]; NaN if broken"),
    "loss": (float, "cross-entropy in nats; NaN if broken"),
    "finite": (int, "1, or 0 for a broken model: a weight or the loss is not finite"),
    "mended": (int, "running variances decoded to zero or less, for which small ones stand"),
    "novelty": (float, "distance to the nearest training model; 1 is the training models' own"),
    "nearest": (str, "that training model and its epoch"),
    "agreement": (float, "share of the images for which that one predicts the same"),
    "error_overlap": (float, "of the images that either mistakes, the share that both do"),
    "diversity": (float, "mean distance to the other models of the method, in units of novelty"),
    "disagreement": (float, "share of the images, averaged over those, that they see otherwise"),
    "anchors": (int, "models that were sampled from"),
    "seed": (int, "of all draws"),
    "step": (int, "of the autoencoder's training"),
}
"""The columns of the results table in their order: type, and meaning with unit."""

_STATISTICS: dict[str, Kind] = {
    **dict.fromkeys(["n", "broken"], int),
    **dict.fromkeys(["mean", "std", "best", "median", "low", "high", "frontier"], float),
    **dict.fromkeys(["difference", "p", "p_holm"], float),
}
TYPES: dict[str, Kind] = {name: kind for name, (kind, _) in COLUMNS.items()} | _STATISTICS


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
