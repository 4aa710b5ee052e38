"""What differs between the settings of a sweep: means over seeds, and paired differences."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from mzsane.reports.measurements import ACCURACY, FRONTIER, NOVELTY, R2, Job, Measurement
from mzsane.reports.tables import ABSENT

SEED = "seed"
"""The setting over which is averaged."""
MEAN = "mean"
"""The column that averages all others, of the settings that have all of them."""
_DIGITS = {R2: 3, ACCURACY: 1, NOVELTY: 2, FRONTIER: 3}

Setting = tuple[str, ...]
Topic = tuple[str, str, str, str]
Cells = dict[str, dict[str, float]]
"""Values of one setting: by column, then by seed."""


class Comparison(NamedTuple):
    """One quantity in every setting.

    Attributes:
        quantity: what was measured.
        method: of what; empty for the autoencoder.
        kind: of the method.
        protocol: by which it was evaluated.
        columns: sources, or sources on image sets.
        rows: by setting.
    """

    quantity: str
    method: str
    kind: str
    protocol: str
    columns: tuple[str, ...]
    rows: dict[Setting, Cells]

    @property
    def title(self) -> str:
        """What was measured, in which unit."""
        if self.quantity == R2:
            return "validation R²"
        told = [f"{self.quantity} of {self.method}", self.protocol]
        return ", ".join(filter(None, told)) + (", %" if self.quantity == ACCURACY else "")

    @property
    def is_made(self) -> bool:
        """Whether the autoencoder is measured, or what it made of latents or unseen models."""
        return self.kind in ("", "sampler") or self.method == "heldout_reconstructed"

    @property
    def digits(self) -> int:
        """How many are worth showing after the decimal point."""
        return _DIGITS[self.quantity]


def keys_of(jobs: Sequence[Job]) -> tuple[str, ...]:
    """Names of the settings that are compared."""
    return tuple(key for key in jobs[0].settings if key != SEED)


def compare(jobs: Sequence[Job]) -> list[Comparison]:
    """R² per source; accuracy of each method, novelty of samplers, frontiers of drawn models.

    What the autoencoder made goes before the baselines, these before models of the zoo.

    Args:
        jobs: all with the same settings.
    """
    shown = sorted((one for job in jobs for one in job.measured if _shown(one)), key=_rank)
    methods = list(dict.fromkeys((one.method, one.protocol) for one in shown))
    topics = dict.fromkeys(map(_topic, shown))
    label = _labels(shown)
    order = sorted((methods.index((t[1], t[3])), [*_DIGITS].index(t[0]), t) for t in topics)
    return [_comparison(jobs, topic, label) for *_, topic in order]


def differences(comparison: Comparison, reference: Setting) -> Comparison:
    """Of every setting from one of them, seed by seed; seeds that either lacks are left out.

    Raises:
        ValueError: no job has the reference's setting.
    """
    if reference not in comparison.rows:
        known = "; ".join(map(" ".join, comparison.rows))
        raise ValueError(f"{' '.join(reference)}: no finished job has this setting, but {known}")
    base = comparison.rows[reference]
    rows = {
        setting: {
            column: {seed: value - base[column][seed] for seed, value in of_seeds.items()
                     if seed in base.get(column, {})}
            for column, of_seeds in cells.items()
        }
        for setting, cells in comparison.rows.items()
        if setting != reference
    }  # fmt: skip
    return comparison._replace(rows=rows)


def cell(values: Iterable[float], digits: int, sign: str = "") -> str:
    """``mean ± std`` over seeds; a single one has no spread."""
    known = list(values)
    if not known:
        return ABSENT
    mean = f"{fmean(known):{sign}.{digits}f}"
    return f"{mean} ± {stdev(known):.{digits}f}" if len(known) > 1 else mean


def _shown(one: Measurement) -> bool:
    """R² of whole models of single sources, every accuracy, novelty and frontier of the drawn."""
    if one.quantity == R2:
        return bool(one.source) and not one.part
    if one.quantity == FRONTIER:
        return one.kind in ("sampler", "baseline")
    return one.quantity == ACCURACY or (one.quantity == NOVELTY and one.kind == "sampler")


def _rank(one: Measurement) -> int:
    """Reading order; reconstructions were baselines once, and are in old tables."""
    made = one.method.endswith("reconstructed")
    return 1 if made else {"": 0, "baseline": 2, "zoo": 3}.get(one.kind, 1)


def _topic(one: Measurement) -> Topic:
    """What a comparison is about."""
    return one.quantity, one.method, one.kind, one.protocol


def _comparison(
    jobs: Sequence[Job], topic: Topic, label: Callable[[Measurement], str]
) -> Comparison:
    rows: dict[Setting, Cells] = {}
    for job in jobs:
        setting = tuple(job.settings[key] for key in keys_of(jobs))
        seed = job.settings.get(SEED, "")
        cells = rows.setdefault(setting, {})
        for one in job.measured:
            if _shown(one) and _topic(one) == topic:
                cells.setdefault(label(one), {})[seed] = one.value
    columns = tuple(sorted({column for cells in rows.values() for column in cells}))
    if len(columns) > 1:
        for cells in rows.values():
            cells[MEAN] = _means(cells, columns)
        columns = (*columns, MEAN)
    return Comparison(*topic, columns, rows)


def _means(cells: Mapping[str, Mapping[str, float]], columns: Sequence[str]) -> dict[str, float]:
    """Over all columns, for the seeds that have them all; other means could not be compared."""
    seeds = [set(cells.get(column, {})) for column in columns]
    return {
        seed: fmean(cells[column][seed] for column in columns)
        for seed in cells.get(columns[0], {})
        if all(seed in own for own in seeds)
    }


def _labels(measured: Iterable[Measurement]) -> Callable[[Measurement], str]:
    """Names of columns, which say only what tells them apart."""
    measured = list(measured)
    archs: dict[str, set[str]] = {}
    images: dict[str, set[str]] = {}
    for one in measured:
        archs.setdefault(one.source, set()).update({one.architecture} - {""})
        images.setdefault(one.source, set()).update({one.images} - {""})

    def label(one: Measurement) -> str:
        name = f"{one.source}, {one.architecture}" if len(archs[one.source]) > 1 else one.source
        several = len(images[one.source]) > 1 and one.quantity in (ACCURACY, FRONTIER)
        return f"{name} on {one.images}" if several else name

    return label
