"""Figures without global state: colours for colour-blind readers, sizes for print."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mzsane.files import replacing

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

BLACK = "#000000"
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#ee7733")
"""Paul Tol's scheme "bright" and one of "vibrant", distinct under the common colour deficiencies
(https://sronpersonalpages.nl/~pault)."""

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "legend.fontsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "text.parse_math": False,  # names of methods are no formulas
}
_DPI = 150


@contextmanager
def canvas(path: Path, width: float, height: float) -> Iterator["matplotlib.figure.Figure"]:
    """Give an empty figure of that many inches; save it as PNG, whole or not at all."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with replacing(path) as partial:
            figure.savefig(partial, format="png", dpi=_DPI)


def legend_beside(axes: "matplotlib.axes.Axes") -> None:
    """Names to the right of a panel, where they hide nothing."""
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
