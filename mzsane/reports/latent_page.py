"""A map of a zoo that can be asked: one page with its data, which loads nothing from anywhere."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mzsane.files import replacing
from mzsane.reports.canvas import COLOURS

_TEMPLATE = Path(__file__).with_name("latent_page.html")
_SHADES = 16  # of the scale of numbers


def latent_page(
    points: Float[np.ndarray, "rows 2"],
    columns: Mapping[str, np.ndarray],
    path: Path,
    axes: Sequence[str] = ("", ""),
    colour: str | None = None,
) -> None:
    """Write the page: a dot for each checkpoint, its properties on hovering, a menu of colours.

    Args:
        points: where each checkpoint is.
        columns: all that is known of them, by name; NaN and empty texts are missing.
        path: HTML file; replaced whole.
        axes: names of the two axes.
        colour: property that colours the dots at first; None takes the first.
    """
    data = {
        "points": [[float(f"{value:.6g}") for value in point] for point in points],
        "columns": {name: list(map(_plain, column.tolist())) for name, column in columns.items()},
        "axes": list(axes),
        "colour": next(iter(columns)) if colour is None else colour,
        "colours": COLOURS,
        "ramp": _ramp(),
    }
    # no text of a zoo can end the element that holds it
    text = json.dumps(data, allow_nan=False).replace("<", "\\u003c")
    with replacing(path) as partial:
        page = _TEMPLATE.read_text(encoding="utf-8").replace("/*DATA*/", text)
        partial.write_text(page, encoding="utf-8")


def _plain(value: Any) -> Any:
    """A value of a column as JSON has it; whatever is missing is null."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return None if value == "" else value


def _ramp() -> list[list[int]]:
    """Matplotlib's viridis, as in the static map."""
    from matplotlib import colormaps

    shades = colormaps["viridis"](np.linspace(0, 1, _SHADES))
    return [[round(255 * channel) for channel in shade[:3]] for shade in shades]
