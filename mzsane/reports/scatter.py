"""Accuracy against novelty: whether a generator does more than copy."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from mzsane.reports.canvas import BLACK, COLOURS, canvas
from mzsane.reports.tables import (
    Row,
    by_kind,
    grouped,
    heading,
    method_of,
    refuse_empty,
    title_of,
)

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

_MARKERS = "osD^vP"
_PANEL = (3.0, 2.7)  # inches, without the room that labels take
_LEGEND = (2.4, 0.2)  # inches: width, height of a line
_FAR = 3.0  # novelty from which the axis is compressed beyond 1
_TICKS = (0, 0.25, 0.5, 0.75, 1, 2, 5, 10, 20, 50, 100, 1000)
_CHANCE: dict[str, Any] = {"color": "#888888", "linewidth": 0.8, "linestyle": "-."}
_REACHED: dict[str, Any] = {"color": "#888888", "linewidth": 0.9, "zorder": 1}
Staircase = Callable[[Sequence[Row]], Sequence[tuple[float, float]]]


class Look(NamedTuple):
    """How a method is drawn in every panel."""

    colour: str
    marker: str
    filled: bool


def accuracy_novelty(
    rows: Sequence[Row],
    path: Path,
    classes: Mapping[str, int] | None = None,
    staircase: Staircase | None = None,
) -> None:
    """Draw every model as a dot and every method's mean as a larger mark of the same colour.

    One panel per source and architecture (down) and image set (across), as the memorisation
    critique asks (arXiv:2506.07998). Samplers are filled, baselines hollow, the zoo's models black.
    Models whose accuracy or novelty is not finite are left out; a method of which none has a
    novelty is a dashed line at its mean accuracy.

    Args:
        rows: of one evaluation, see `latest`.
        path: PNG file; replaced whole.
        classes: number of classes per image set, for the line of chance; None draws none.
        staircase: from rows to the corners of what they reach, drawn for all baselines together;
            None draws none.

    Raises:
        ValueError: there are no rows.
    """
    refuse_empty(rows)
    looks = appearances(rows)
    sources = grouped(rows, title_of)
    images = grouped(rows, lambda row: str(row["images"]))
    width = _PANEL[0] * len(images) + _LEGEND[0]
    height = max(_PANEL[1] * len(sources), _LEGEND[1] * (len(looks) + 4)) + 0.4
    with canvas(path, width, height) as figure:
        grid = figure.subplots(len(sources), len(images), sharex=True, sharey=True, squeeze=False)
        for line, (source, members) in zip(grid, sources.items(), strict=True):
            for axes, name in zip(line, images, strict=True):
                axes.set_title(f"{source}\non {name}")
                chance = 1 / classes[name] if classes and name in classes else None
                mine = [row for row in members if row["images"] == name]
                _panel(axes, mine, looks, chance)
                if staircase:
                    _frontier(axes, staircase([row for row in mine if row["kind"] == "baseline"]))
        _scales(grid[0, 0], rows)
        figure.supxlabel("novelty (0: a copy, 1: as far as trained models are apart)", fontsize=9)
        figure.supylabel("accuracy, %", fontsize=9)
        known = bool(images.keys() & (classes or {}).keys())
        _legend(figure, rows, looks, chance=known, reached=staircase is not None)


def appearances(rows: Sequence[Row]) -> dict[str, Look]:
    """A look per method; no two alike, and neighbours differ in colour and in shape."""
    looks: dict[str, Look] = {}
    numbers = count()
    for kind, members in by_kind(rows).items():
        for place, method in enumerate(grouped(members, method_of)):
            number = place if kind == "zoo" else next(numbers)
            colour = BLACK if kind == "zoo" else COLOURS[number % len(COLOURS)]
            looks[method] = Look(colour, _MARKERS[number % len(_MARKERS)], kind != "baseline")
    return looks


def _panel(
    axes: "matplotlib.axes.Axes",
    rows: Sequence[Row],
    looks: Mapping[str, Look],
    chance: float | None,
) -> None:
    axes.axvline(1.0, color="#888888", linewidth=0.8, linestyle=":")
    if chance is not None:
        axes.axhline(100 * chance, **_CHANCE)
    for method, members in grouped(rows, method_of).items():
        _method(axes, members, looks[method])


def _frontier(axes: "matplotlib.axes.Axes", corners: Sequence[tuple[float, float]]) -> None:
    """The best accuracy of baselines at a novelty of at least the place on the axis."""
    if corners:
        novelty, accuracy = zip(*corners, strict=True)
        places, steps = (0.0, *novelty), (accuracy[0], *accuracy)
        axes.step(places, [100 * step for step in steps], where="pre", **_REACHED)


def _method(axes: "matplotlib.axes.Axes", rows: Sequence[Row], look: Look) -> None:
    """Dots and their mean, or a line where there is no novelty."""
    points = [(float(row["novelty"]), 100 * float(row["accuracy"])) for row in rows]
    known = [(x, y) for x, y in points if math.isfinite(y)]
    placed = [(x, y) for x, y in known if math.isfinite(x)]
    if placed:
        x, y = zip(*placed, strict=True)
        axes.scatter(x, y, s=8, alpha=0.3, linewidths=0, color=look.colour, marker=look.marker)
        axes.plot(fmean(x), fmean(y), **_mark(look))
    elif known:
        axes.axhline(fmean(y for _, y in known), **_line(look))


def _line(look: Look) -> dict[str, Any]:
    """Of a mean without novelty."""
    return {"color": look.colour, "linestyle": (0, (5, 2))}


def _mark(look: Look) -> dict[str, Any]:
    """Of a mean; the white rim parts filled marks that overlap."""
    face, edge = (look.colour, "white") if look.filled else ("white", look.colour)
    return {
        **{"linestyle": "", "marker": look.marker, "markersize": 7.5, "zorder": 3},
        **{"markerfacecolor": face, "markeredgecolor": edge},
        "markeredgewidth": 0.7 if look.filled else 1.6,
    }


def _scales(shared: "matplotlib.axes.Axes", rows: Sequence[Row]) -> None:
    """Of all panels; far beyond the zoo, novelty is compressed."""
    farthest = max([1.0, *(x for row in rows if math.isfinite(x := float(row["novelty"])))])
    if farthest > _FAR:
        shared.set_xscale("symlog", linthresh=1.0, linscale=1.0)
        shared.set_xticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        shared.set_xticks([], minor=True)
    shared.set_xlim(-0.06, 1.1 * farthest)
    shared.set_ylim(-4, 104)


def _legend(
    figure: "matplotlib.figure.Figure",
    rows: Sequence[Row],
    looks: Mapping[str, Look],
    chance: bool,
    reached: bool,
) -> None:
    """Methods below the heading of their kind, to the right of all panels."""
    from matplotlib.lines import Line2D

    handles: list[Line2D] = []
    headings: list[int] = []
    for kind, members in by_kind(rows).items():
        headings.append(len(handles))
        handles.append(Line2D([], [], linestyle="", label=heading(kind)))
        for method, own in grouped(members, method_of).items():
            placed = any(math.isfinite(float(row["novelty"])) for row in own)
            style = _mark(looks[method]) if placed else _line(looks[method])
            handles.append(Line2D([], [], label=method, **style))
    if chance:
        handles.append(Line2D([], [], label="chance", **_CHANCE))
    if reached:
        handles.append(Line2D([], [], label="all baselines", **_REACHED))
    legend = figure.legend(handles=handles, loc="outside right center", frameon=False)
    for place in headings:
        legend.get_texts()[place].set_fontweight("bold")
