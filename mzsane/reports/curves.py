"""Losses and R² over the steps of a run."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mzsane.reports.canvas import BLACK, COLOURS, canvas, legend_beside
from mzsane.reports.metrics import Metrics, quantities, series

if TYPE_CHECKING:
    import matplotlib.axes

_R2 = "val/r2/"
_DOTS: dict[str, Any] = {"marker": "o", "markersize": 3.5}
_STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "train": ("training", {"linewidth": 0.9, "alpha": 0.6}),
    "val": ("validation", {"linewidth": 1.6, **_DOTS}),
}
_LOWEST_R2 = -1.0  # an untrained model's R² has no lower bound and would flatten all that follows


def loss_curves(metrics: Sequence[Metrics], path: Path) -> None:
    """Draw the losses of training and validation, and below them R² per source.

    R² per kind of layer is left to the tables: each source has up to five.

    Args:
        metrics: as `read_metrics` gives them.
        path: PNG file; replaced whole.

    Raises:
        ValueError: there are no metrics.
    """
    if not metrics:
        raise ValueError("metrics: there are none to draw; train for at least one logged step")
    with canvas(path, width=7.5, height=5.2) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        _losses(upper, metrics)
        _r_squared(lower, metrics)
        for axes in (upper, lower):
            legend_beside(axes)


def parts(metrics: Sequence[Metrics]) -> list[str]:
    """The loss, then its parts: whatever else is logged in training and in validation alike."""
    names = quantities(metrics)
    train, val = ({n.removeprefix(s) for n in names if n.startswith(s)} for s in ("train/", "val/"))
    return ["loss", *sorted(train & val - {"loss"})]


def _losses(axes: "matplotlib.axes.Axes", metrics: Sequence[Metrics]) -> None:
    """Training thin, validation with dots; logarithmic where the values allow it."""
    drawn: list[float] = []
    for part, colour in zip(parts(metrics), (BLACK, *COLOURS), strict=False):
        for stage, (name, style) in _STAGES.items():
            steps, values = series(metrics, f"{stage}/{part}")
            if values:
                axes.plot(steps, values, color=colour, label=f"{part}, {name}", **style)
            drawn += filter(math.isfinite, values)
    if drawn and min(drawn) > 0:
        _logarithmic(axes)
    axes.set_ylabel("loss")


def _logarithmic(axes: "matplotlib.axes.Axes") -> None:
    """Labels at 1, 2 and 5 times each power of ten, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _r_squared(axes: "matplotlib.axes.Axes", metrics: Sequence[Metrics]) -> None:
    """One line per source; 1 is a perfect reconstruction, 0 that of the mean weight."""
    lowest = 0.0
    names = [name for name in quantities(metrics) if name.startswith(_R2)]
    sources = [name for name in names if name.rpartition("/")[0] not in names]  # no kind of layer
    for index, name in enumerate(sources):
        steps, values = series(metrics, name)
        colour = COLOURS[(index + 2) % len(COLOURS)]  # those of the upper panel mean parts
        axes.plot(steps, values, color=colour, label=name.removeprefix(_R2), **_DOTS)
        lowest = min([lowest, *filter(math.isfinite, values)])
    axes.axhline(1.0, color=BLACK, linewidth=0.8, linestyle=":")
    axes.set_ylim(max(lowest, _LOWEST_R2) - 0.05, 1.05)
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel("validation R²" + (f", cut at {_LOWEST_R2:g}" if lowest < _LOWEST_R2 else ""))
