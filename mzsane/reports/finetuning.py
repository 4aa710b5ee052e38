"""Accuracy on the way of fine-tuning."""

import math
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

from mzsane.reports.canvas import canvas
from mzsane.reports.scatter import Look, appearances
from mzsane.reports.tables import Row, grouped, method_of, refuse_empty, title_of

if TYPE_CHECKING:
    import matplotlib.axes

_PANEL = (3.4, 2.9)  # inches
_LEGEND = (2.4, 0.2)  # inches: width, height of a line


def finetuning_curves(rows: Sequence[Row], path: Path) -> None:
    """Draw the mean accuracy of every method after each epoch, with one standard deviation.

    One panel per source and architecture (down) and image set (across). Broken models are left out.

    Args:
        rows: of one protocol of the results table.
        path: PNG file; replaced whole.

    Raises:
        ValueError: there are no rows.
    """
    refuse_empty(rows)
    looks, sources = appearances(rows), grouped(rows, title_of)
    images = grouped(rows, lambda row: str(row["images"]))
    width = _PANEL[0] * len(images) + _LEGEND[0]
    height = max(_PANEL[1] * len(sources), _LEGEND[1] * (len(looks) + 1)) + 0.4
    with canvas(path, width, height) as figure:
        grid = figure.subplots(len(sources), len(images), sharey=True, squeeze=False)
        for line, (source, members) in zip(grid, sources.items(), strict=True):
            for axes, name in zip(line, images, strict=True):
                axes.set_title(f"{source}\non {name}")
                mine = [row for row in members if row["images"] == name]
                for method, own in grouped(mine, method_of).items():
                    _curve(axes, method, own, looks[method])
        figure.supxlabel("epochs of fine-tuning", fontsize=9)
        figure.supylabel("test accuracy, %", fontsize=9)
        labelled = grid[0, 0].get_legend_handles_labels()
        figure.legend(*labelled, loc="outside right center", frameon=False)


def _curve(axes: "matplotlib.axes.Axes", method: str, rows: Sequence[Row], look: Look) -> None:
    """One method."""
    by_epoch: dict[float, list[float]] = {}
    for row in rows:
        if math.isfinite(accuracy := 100 * float(row["accuracy"])):
            by_epoch.setdefault(float(row["epochs"]), []).append(accuracy)
    epochs = sorted(by_epoch)
    means = [fmean(by_epoch[epoch]) for epoch in epochs]
    spreads = [stdev(by_epoch[epoch]) if len(by_epoch[epoch]) > 1 else 0.0 for epoch in epochs]
    style = {"color": look.colour, "marker": look.marker, "markersize": 4}
    face = look.colour if look.filled else "white"
    axes.plot(epochs, means, label=method, linewidth=1.2, markerfacecolor=face, **style)
    low, high = zip(*((m - s, m + s) for m, s in zip(means, spreads, strict=True)), strict=True)
    axes.fill_between(epochs, low, high, color=look.colour, alpha=0.08, linewidth=0)
