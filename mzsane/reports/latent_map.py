"""Maps of a zoo: every checkpoint a dot, coloured by what is known of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from mzsane.reports.canvas import COLOURS, canvas

if TYPE_CHECKING:
    import matplotlib.axes

PANELS = 6
_PANEL = (4.2, 3.2)  # inches
_DOT = {"s": 12, "linewidths": 0, "alpha": 0.8}
_GREY, _OTHERS, _UNKNOWN = "#bbbbbb", "others", "not known"


def latent_map(
    points: Float[np.ndarray, "rows 2"],
    columns: Mapping[str, np.ndarray],
    path: Path,
    axes: Sequence[str] = ("", ""),
) -> None:
    """Draw the same map once for each property, at most `PANELS` of them.

    Numbers are coloured from dark to light. Texts have a colour each, the six most frequent ones;
    the others share grey, as do missing values.

    Args:
        points: where each checkpoint is.
        columns: properties, by name.
        path: PNG file; replaced whole.
        axes: names of the two axes.

    Raises:
        ValueError: there are no properties.
    """
    shown = dict(list(columns.items())[:PANELS])
    if not shown:
        raise ValueError(f"{path}: nothing to colour the map by; name a property that varies")
    across = min(3, len(shown))
    down = -(-len(shown) // across)
    with canvas(path, _PANEL[0] * across, _PANEL[1] * down) as figure:
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        panels = grid.flatten().tolist()
        for panel, (name, column) in zip(panels, shown.items(), strict=False):
            panel.set_title(name)
            (_texts if column.dtype.kind == "U" else _numbers)(panel, points, column)
        for panel in panels[len(shown) :]:
            panel.set_visible(False)
        figure.supxlabel(axes[0], fontsize=9)
        figure.supylabel(axes[1], fontsize=9)


def _numbers(panel: "matplotlib.axes.Axes", points: np.ndarray, column: np.ndarray) -> None:
    known = np.isfinite(column.astype(float))
    if not known.all():
        panel.scatter(*points[~known].T, color=_GREY, label=_UNKNOWN, **_DOT)
        panel.legend(loc="best", framealpha=0.7, markerscale=1.5)
    dots = panel.scatter(*points[known].T, c=column[known], cmap="viridis", **_DOT)
    panel.figure.colorbar(dots, ax=panel, pad=0.02)


def _texts(panel: "matplotlib.axes.Axes", points: np.ndarray, column: np.ndarray) -> None:
    names, counts = np.unique(column[column != ""], return_counts=True)
    frequent = names[np.argsort(-counts, kind="stable")][: len(COLOURS) - 1].tolist()
    rest = ~np.isin(column, frequent)
    if rest.any():
        unlike = {_OTHERS: len(names) > len(frequent), _UNKNOWN: (column == "").any()}
        label = " or ".join(name for name, there in unlike.items() if there)
        panel.scatter(*points[rest].T, color=_GREY, label=label, **_DOT)
    for name, colour in zip(frequent, COLOURS, strict=False):
        panel.scatter(*points[column == name].T, color=colour, label=name, **_DOT)
    panel.legend(loc="best", framealpha=0.7, markerscale=1.5)
