"""What the jobs of a sweep measured: one number a row."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from mzsane.files import replacing
from mzsane.reports.metrics import Metrics, quantities, series
from mzsane.reports.tables import Row

ACCURACY, NOVELTY, R2, FRONTIER = "accuracy", "novelty", "val/r2", "frontier"
UNITS = {
    ACCURACY: "%",
    NOVELTY: "mean distance of a training model to the nearest other",
    FRONTIER: "share x mean distance of a training model to the nearest other",
    "val/mse": "squared weights",
}
"""Of quantities; those that are not listed have none."""


class Measurement(NamedTuple):
    """One number that a job measured.

    Attributes:
        source: of the models; empty for all sources together.
        architecture: of the models; empty for all of the source.
        part: of the models, such as a kind of layer; empty for whole models.
        method: that made the models; empty for what was measured on the autoencoder.
        kind: of the method: zoo, baseline, sampler, ...
        protocol: by which the models were evaluated.
        images: on which; empty where none are involved.
        quantity: what was measured.
        n: models over which it is a mean; 0 where models were not counted.
        value: in the unit that `UNITS` has for the quantity.
    """

    source: str
    architecture: str
    part: str
    method: str
    kind: str
    protocol: str
    images: str
    quantity: str
    n: int
    value: float


class Job(NamedTuple):
    """A finished job of a sweep, the settings in which it differs from others, its numbers."""

    name: str
    settings: Mapping[str, str]
    measured: Sequence[Measurement]


def of_metrics(metrics: Sequence[Metrics]) -> list[Measurement]:
    """The last value of everything that validation logged as ``val/quantity/source/part``."""
    found = []
    for name in quantities(metrics):
        if name.startswith("val/"):
            _, quantity, source, part = [*name.split("/", 3), "", ""][:4]
            last = series(metrics, name)[1][-1]
            found.append(Measurement(source, "", part, *[""] * 4, f"val/{quantity}", 0, last))
    return found


def of_results(rows: Iterable[Row]) -> list[Measurement]:
    """Mean accuracy and, where a method has it, novelty of the models that are not broken.

    Args:
        rows: of one results table; columns that an earlier version did not write may be missing.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        about = (*(str(row[key]) for key in ("source", "architecture")), "")
        made = (str(row["method"]), str(row["kind"]), _protocol(row), str(row["images"]))
        groups.setdefault(about + made, []).append(row)
    found = []
    for about, members in groups.items():
        for quantity, factor in ((ACCURACY, 100), (NOVELTY, 1)):
            numbers = [factor * float(row[quantity]) for row in members]
            known = [value for value in numbers if math.isfinite(value)]
            if known:
                found.append(Measurement(*about, quantity, len(known), fmean(known)))
    return found


def of_frontiers(rows: Iterable[Row]) -> list[Measurement]:
    """Areas under the frontiers of families of methods, of equally many models.

    Args:
        rows: as `mzsane.evaluation.frontiers` returns.
    """
    return [
        Measurement(
            *(str(row[key]) for key in ("source", "architecture")), "",
            *(str(row[key]) for key in ("family", "kind", "protocol", "images")),
            FRONTIER, int(row["equal_n"]), float(row["equal"]),
        )
        for row in rows
        if math.isfinite(float(row["equal"]))
    ]  # fmt: skip


def _protocol(row: Row) -> str:
    """The protocol with what tells its own results apart."""
    told = [str(row.get("protocol", ""))]
    if epochs := float(row.get("epochs", 0)):
        told.append(f"{epochs:g} epochs")
    if (members := int(row.get("members", 1))) > 1:
        told.append(f"{members} members")
    return ", ".join(filter(None, told))


def write_measurements(path: Path, jobs: Sequence[Job]) -> None:
    """Write one row per job and measurement, its settings and unit beside it.

    Args:
        path: the file; replaced whole.
        jobs: all with the same settings.

    Raises:
        ValueError: there are no jobs.
    """
    if not jobs:
        raise ValueError(f"{path}: no job has finished; there is nothing to write")
    with replacing(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["job", *jobs[0].settings, *Measurement._fields[:-1], "unit", "value"])
        for job in jobs:
            for one in job.measured:
                unit = UNITS.get(one.quantity, "1")
                writer.writerow([job.name, *job.settings.values(), *one[:-1], unit, one.value])
