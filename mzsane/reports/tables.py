"""Statistics of results arranged for reading: one table per source, methods against image sets."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

Value = str | int | float
Row = Mapping[str, Value]

_HEADINGS = {
    "zoo": "models of the zoo",
    "baseline": "baselines",
    "reconstruction": "reconstructions",
    "sampler": "samplers",
}

ABSENT = "\N{EN DASH}"


class Group(NamedTuple):
    """Methods of one kind; a line is the method followed by its cells."""

    heading: str
    lines: tuple[tuple[str, ...], ...]


class Table(NamedTuple):
    """Everything that was measured for one source."""

    title: str
    header: tuple[str, ...]
    groups: tuple[Group, ...]


def latest(rows: Iterable[Row]) -> list[Row]:
    """The rows of the last evaluation; a table may hold those of earlier steps, too.

    Raises:
        ValueError: there are no rows.
    """
    rows = list(rows)
    refuse_empty(rows)
    last = max(row["step"] for row in rows)
    return [row for row in rows if row["step"] == last]


def arrange(statistics: Sequence[Row]) -> list[Table]:
    """One table per source, or per source and architecture where the statistics tell them apart.

    Args:
        statistics: one row per source, method and image set with ``kind``, ``n``, and in shares of
            one ``mean``, ``std``, ``low``, ``high`` and ``best`` accuracy, and ``novelty``.

    Raises:
        ValueError: there are no statistics.
    """
    refuse_empty(statistics)
    return [_table(title, rows) for title, rows in grouped(statistics, title_of).items()]


def title_of(row: Row) -> str:
    """The population a row is about, and how it was evaluated if not as it is."""
    parts = [row["source"], row.get("architecture"), _protocol(row)]
    return ", ".join(str(part) for part in parts if part)


def _protocol(row: Row) -> str:
    """Nothing for the zero-shot protocol."""
    protocol, members = str(row.get("protocol", "zero_shot")), row.get("members", 1)
    if protocol == "zero_shot":
        return ""
    return protocol if members == 1 else f"{protocol} of {members}"


def grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows by what `key` says of them, in order of first appearance."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def method_of(row: Row) -> str:
    """The method a row is about."""
    return str(row["method"])


def by_kind(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of the zoo's own models, of baselines, of samplers, then of any other kind."""
    groups = grouped(rows, lambda row: str(row["kind"]))
    order = dict.fromkeys([*_HEADINGS, *groups])
    return {kind: groups[kind] for kind in order if kind in groups}


def heading(kind: str) -> str:
    """What stands above the methods of a kind."""
    return _HEADINGS.get(kind, kind)


def refuse_empty(rows: Sequence[Row]) -> None:
    """Every table and figure needs a result."""
    if not rows:
        raise ValueError("results: there are none to report; evaluate at least one method")


def _table(title: str, rows: Sequence[Row]) -> Table:
    images = tuple(dict.fromkeys(str(row["images"]) for row in rows))
    groups = tuple(
        Group(heading(kind), _lines(members, images)) for kind, members in by_kind(rows).items()
    )
    return Table(title, ("method", *images, "n", "novelty"), groups)


def _lines(rows: Sequence[Row], images: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (method, *_cells({str(row["images"]): row for row in members}, images))
        for method, members in grouped(rows, method_of).items()
    )


def _cells(by_images: Mapping[str, Row], images: Sequence[str]) -> tuple[str, ...]:
    accuracies = (accuracy(by_images[name]) if name in by_images else ABSENT for name in images)
    counts = _across(count(row) for row in by_images.values())
    novelties = _across(novelty(float(row["novelty"])) for row in by_images.values())
    return (*accuracies, counts, novelties)


def _across(cells: Iterable[str]) -> str:
    """Image sets mostly agree in what does not depend on images; where they do not, show all."""
    return " / ".join(dict.fromkeys(cells))


def accuracy(row: Row) -> str:
    """``mean ± std [low, high] (best)`` in percent; a single model has the first only."""
    if row["n"] == 0:
        return ABSENT
    shown = ("mean", "std", "low", "high", "best")
    mean, std, low, high, best = (100 * float(row[name]) for name in shown)
    if row["n"] == 1:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {std:.1f} [{low:.1f}, {high:.1f}] ({best:.1f})"


def count(row: Row) -> str:
    """How many models, and how many more were broken."""
    return f"{row['n']} + {row['broken']} broken" if row.get("broken") else str(row["n"])


def novelty(value: float) -> str:
    """Two decimals, or a dash for a method that has none."""
    return ABSENT if math.isnan(value) else f"{value:.2f}"
