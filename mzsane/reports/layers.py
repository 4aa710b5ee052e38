"""Reconstruction of each layer, as bars."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mzsane.reports.canvas import COLOURS, canvas, legend_beside
from mzsane.reports.tables import Row, grouped

if TYPE_CHECKING:
    import matplotlib.axes

_BAR, _LEAST = 0.28, 3.5  # inches: width of a layer, of a kind of network at least
_HEIGHT, _LEGEND = 4.6, 1.6
_WORST = -1.0  # R² at which the axis ends; worse layers are told by a number


def layer_bars(rows: Sequence[Row], path: Path) -> None:
    """R² above, error and spread of the weights below, for every layer of each kind of network.

    Args:
        rows: of `layer_fidelity`, one for each layer; at least one.
        path: PNG file; replaced whole.
    """
    kinds = grouped(rows, lambda row: f"{row['architecture']}, {row['weights']:,} weights")
    widths = [max(_LEAST, _BAR * len(own) + 1) for own in kinds.values()]
    with canvas(path, sum(widths) + _LEGEND, _HEIGHT) as figure:
        grid = figure.subplots(
            2, len(kinds), sharex="col", squeeze=False, gridspec_kw={"width_ratios": widths}
        )
        for column, (title, own) in enumerate(kinds.items()):
            grid[0, column].set_title(f"{title}, {own[0]['checkpoints']} checkpoints")
            _explained(grid[0, column], own)
            _errors(grid[1, column], own)
        legend_beside(grid[1, -1])


def _explained(axes: "matplotlib.axes.Axes", rows: Sequence[Row]) -> None:
    values = [float(row["r2"]) for row in rows]
    shown = [max(value, _WORST) if math.isfinite(value) else 0.0 for value in values]
    axes.bar(range(len(rows)), shown, color=COLOURS[0])
    axes.set_ylim(min([0.0, *shown]), 1)
    axes.set_ylabel("R²")
    for place, value in enumerate(values):
        if not value >= _WORST:
            axes.text(place, min(0.0, _WORST / 2), f"{value:.1f}", rotation=90, ha="center")


def _errors(axes: "matplotlib.axes.Axes", rows: Sequence[Row]) -> None:
    places = range(len(rows))
    axes.bar([p - 0.2 for p in places], [float(r["std"]) for r in rows], 0.4,
             color="#bbbbbb", label="spread of weights")  # fmt: skip
    axes.bar([p + 0.2 for p in places], [float(r["rmse"]) for r in rows], 0.4,
             color=COLOURS[1], label="error (RMSE)")  # fmt: skip
    names = [str(row["layer_name"]).removesuffix(".weight") for row in rows]
    axes.set_xticks(places, names, rotation=90, fontsize=7)
    axes.set_ylabel("in units of weights")
