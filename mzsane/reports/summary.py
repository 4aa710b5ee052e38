"""What a run found, for the terminal and as summary.md."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mzsane.files import replacing
from mzsane.reports.markdown import escaped, facts_table, line, rule
from mzsane.reports.metrics import Metrics, quantities, series
from mzsane.reports.pages import Sheet, markdown_sheet
from mzsane.reports.tables import ABSENT, Row, Table, arrange

if TYPE_CHECKING:
    import rich.console
    import rich.table

READING = f"""\
- Accuracy is measured on the test split of the image set that heads the column, in percent: mean
  ± standard deviation over n models, the 95 % bootstrap interval of the mean in square brackets,
  and the best of them in round ones. The best is found on the same images, which flatters a
  method, and the more so the larger n is.
- Spreads, intervals and tests take models of a method for independent draws. All come from one
  trained autoencoder and one seed's anchors, and intervals hold for these only: another training
  or other anchors vary more. Seeds are compared by `python -m mzsane.report` on a sweep's folder.
- Novelty is the distance in weights to the nearest training model, over all orders of channels
  that were tried, divided by the mean distance of a training model to the nearest other one: 0 is
  a copy, 1 is as far as trained models are from each other.
- A model with a weight or a loss that is not finite is broken: it is counted, and left out of all
  numbers. A running variance of BatchNorm that was decoded to zero or less is replaced by a small
  one; the column mended of statistics.csv counts these.
- Accuracy alone says little, since a copy of a stored model is accurate, too. A sampler has
  learned something where it is more accurate than every baseline of the same novelty.
- columns.md tells meaning and unit of every column of the CSV files.
- {ABSENT} stands for what was not measured."""


def write_summary(
    path: Path,
    statistics: Sequence[Row],
    metrics: Sequence[Metrics],
    facts: Mapping[str, object],
    sheets: Sequence[Sheet] = (),
) -> None:
    """Write `markdown_summary`, whole or not at all: the file marks a run as finished."""
    text = markdown_summary(statistics, metrics, facts, sheets)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def markdown_summary(
    statistics: Sequence[Row],
    metrics: Sequence[Metrics],
    facts: Mapping[str, object],
    sheets: Sequence[Sheet] = (),
) -> str:
    """Results, the end of training, how to read them, and where they come from, as far as there.

    Args:
        statistics: one row per source, method and image set, as `evaluation.summarise` returns;
            empty for models that were only trained.
        metrics: what was logged in training; empty for models that were trained elsewhere.
        facts: of the run, by name: command, machine, date, seed, durations, versions.
        sheets: further tables of the results.
    """
    tables = arrange(statistics) if statistics else []
    parts = [
        "# Summary",
        *(f"## {escaped(table.title)}\n\n{_markdown(table)}" for table in tables),
        *map(markdown_sheet, sheets),
        *_training(metrics),
        *([f"## How to read this\n\n{READING}"] if tables else []),
        f"## Where the numbers come from\n\n{facts_table(facts)}",
    ]
    return "\n\n".join(parts) + "\n"


def terminal_summary(statistics: Sequence[Row]) -> "rich.console.Group":
    """The results for `rich.print`.

    Raises:
        ValueError: there are no statistics.
    """
    from rich.console import Group

    return Group(*(_terminal(table) for table in arrange(statistics)))


def _terminal(table: Table) -> "rich.table.Table":
    from rich.table import Table as RichTable
    from rich.text import Text  # names of sources and methods are no markup

    drawn = RichTable(
        title=Text(f"{table.title}: accuracy in %, mean ± std [95 %] (best)"),
        title_justify="left",
    )
    for column, name in enumerate(table.header):
        drawn.add_column(Text(name), justify="right" if column else "left", no_wrap=not column)
    for group in table.groups:
        drawn.add_section()
        drawn.add_row(Text(group.heading, style="bold"))
        for method, *cells in group.lines:
            drawn.add_row(Text(f"  {method}"), *map(Text, cells))
    return drawn


def _markdown(table: Table) -> str:
    lines = [line(table.header), rule(len(table.header))]
    for group in table.groups:
        lines.append(line([f"**{escaped(group.heading)}**", *[""] * (len(table.header) - 1)]))
        lines.extend(line([escaped(cell) for cell in cells]) for cells in group.lines)
    return "\n".join(lines)


def _training(metrics: Sequence[Metrics]) -> list[str]:
    """Losses and R² as last logged; nothing if nothing was."""
    shown = [name for name in quantities(metrics) if name.startswith(("train/", "val/"))]
    last = {name: tuple(values[-1] for values in series(metrics, name)) for name in shown}
    if not last:
        return []
    lines = [line(("metric", "last value", "step")), rule(3)]
    for name, (step, value) in last.items():
        lines.append(line((escaped(name), f"{value:.4g}", f"{step:.0f}")))
    return ["## End of training\n\n" + "\n".join(lines)]
