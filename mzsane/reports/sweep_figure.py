"""The settings of a sweep side by side."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from mzsane.reports.canvas import BLACK, COLOURS, canvas, legend_beside
from mzsane.reports.comparing import MEAN, Comparison, Setting
from mzsane.reports.measurements import ACCURACY, R2

if TYPE_CHECKING:
    import matplotlib.axes


def draw_sweep(comparisons: Sequence[Comparison], path: Path) -> None:
    """R² and accuracies of what the autoencoder makes, a panel each: mean ± std over seeds.

    Args:
        comparisons: see `compare`; those of baselines in weight space are not drawn.
        path: PNG file; replaced whole.
    """
    drawn = [one for one in comparisons if one.is_made and one.quantity in (R2, ACCURACY)]
    if not drawn:
        return
    settings = list(dict.fromkeys(setting for c in drawn for setting in c.rows))
    with canvas(path, 7.5, 1.7 * len(drawn) + 0.8) as figure:
        panels = figure.subplots(len(drawn), 1, sharex=True, squeeze=False)[:, 0]
        for axes, comparison in zip(panels, drawn, strict=True):
            _panel(axes, comparison, settings)
            legend_beside(axes)
        panels[-1].set_xticks(
            range(len(settings)), [", ".join(s) or "all" for s in settings], rotation=20
        )


def _panel(
    axes: "matplotlib.axes.Axes", comparison: Comparison, settings: Sequence[Setting]
) -> None:
    """A mark per setting and column; those of one setting stand side by side."""
    for place, column in enumerate(comparison.columns):
        cells = [comparison.rows.get(setting, {}).get(column, {}) for setting in settings]
        known = [(x, list(cell.values())) for x, cell in enumerate(cells) if cell]
        aside = 0.6 * ((place + 0.5) / len(comparison.columns) - 0.5)
        axes.errorbar(
            [x + aside for x, _ in known],
            [fmean(values) for _, values in known],
            [stdev(values) if len(values) > 1 else 0.0 for _, values in known],
            label=column,
            linestyle="",
            marker="o",
            markersize=4,
            color=BLACK if column == MEAN else COLOURS[place % len(COLOURS)],
        )
    axes.set_title(comparison.title)
