"""A sweep for reading: one table per quantity, settings down and sources across."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mzsane.files import replacing
from mzsane.reports.comparing import (
    Comparison,
    Setting,
    cell,
    compare,
    differences,
    keys_of,
)
from mzsane.reports.markdown import escaped, facts_table, table
from mzsane.reports.measurements import Job
from mzsane.reports.sweep_figure import draw_sweep

READING = """\
- Cells are mean ± standard deviation over seeds; n is the number of seeds.
- R² is of the weights of validation models, at the end of training: 1 is a perfect reconstruction,
  0 that of the mean weight. Accuracies are means over models, measured on test images.
- A frontier is the area under the best accuracy at a novelty of at least t, t from 0 to 1, of as
  many models of each family of methods; see the summary of a job.
- The column mean averages the others, for the seeds that have them all.
- Differences are taken seed by seed. With a few seeds their standard deviation is rough, and a
  difference within twice of it is no finding."""


def write_sweep(
    folder: Path,
    jobs: Sequence[Job],
    left_out: Mapping[str, str],
    facts: Mapping[str, object],
    reference: Setting = (),
) -> None:
    """Write `sweep.png` and `summary.md`.

    Args:
        folder: of the sweep.
        jobs: that have finished.
        left_out: jobs that have not, and why.
        facts: of the sweep, by name.
        reference: setting from which the others' differences are shown; empty shows none.

    Raises:
        ValueError: no job has finished, or none has the reference's setting.
    """
    text = markdown_sweep(jobs, left_out, facts, reference)
    draw_sweep(compare(jobs), folder / "sweep.png")
    with replacing(folder / "summary.md") as partial:
        partial.write_text(text, encoding="utf-8")


def markdown_sweep(
    jobs: Sequence[Job],
    left_out: Mapping[str, str],
    facts: Mapping[str, object],
    reference: Setting = (),
) -> str:
    """The text of `summary.md`; arguments as of `write_sweep`."""
    if not jobs:
        missing = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise ValueError(f"sweep: no job has finished ({missing}); nothing can be compared")
    parts = ["# Sweep", _jobs(jobs, left_out)]
    for comparison in compare(jobs):
        parts.append(f"## {escaped(comparison.title)}\n\n{_table(comparison, keys_of(jobs))}")
        if reference:
            apart = _table(differences(comparison, reference), keys_of(jobs), "+")
            against = escaped(" ".join(reference))
            parts.append(f"Differences from {against}, paired by seed:\n\n{apart}")
    parts.append(f"## How to read this\n\n{READING}")
    parts.append(f"## Where the numbers come from\n\n{facts_table(facts)}")
    return "\n\n".join(parts) + "\n"


def _jobs(jobs: Sequence[Job], left_out: Mapping[str, str]) -> str:
    """How many there are, and who is missing."""
    told = f"{len(jobs)} of {len(jobs) + len(left_out)} jobs have finished and are compared."
    lines = [f"- job {escaped(name)}: {escaped(why)}" for name, why in left_out.items()]
    return "\n".join([told, *(["", "Left out:", "", *lines] if lines else [])])


def _table(comparison: Comparison, keys: Sequence[str], sign: str = "") -> str:
    """Settings down, columns across, and over how many seeds."""
    rows = []
    for setting, cells in comparison.rows.items():
        shown = [cells.get(column, {}) for column in comparison.columns]
        counts = " / ".join(dict.fromkeys(str(len(seeds)) for seeds in shown))
        values = (cell(seeds.values(), comparison.digits, sign) for seeds in shown)
        rows.append([*(setting or ("all",)), *values, counts])
    names = [key.rpartition(".")[2] for key in keys] or ["setting"]
    return table([*names, *comparison.columns, "n"], rows, names=len(names))
