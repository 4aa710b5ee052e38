"""Accuracy against novelty as one number."""

from collections.abc import Iterable, Mapping, Sequence

from mzsane.evaluation.table import Row, Value, grouped

Point = tuple[float, float]
TRIVIAL = "all baselines"
"""Name of what the trivial baselines reach together."""


def staircase(points: Iterable[Point]) -> list[Point]:
    r"""The best accuracy at a novelty of at least t, as steps.

    .. math:: F(t) = \max \{a_i : \nu_i \ge t\}, \qquad \max \emptyset = 0

    Args:
        points: novelty :math:`\nu_i` and accuracy :math:`a_i` of models.

    Returns:
        Corners by rising novelty: F has a corner's accuracy up to its novelty, from that of the
        corner before it.
    """
    corners: list[Point] = []
    for novelty, accuracy in sorted(points, reverse=True):
        if not corners or accuracy > corners[-1][1]:
            corners.append((novelty, accuracy))
    return corners[::-1]


def area(points: Iterable[Point]) -> float:
    r"""Area under `staircase` between a copy and as far as training models lie apart.

    .. math:: A = \int_0^1 F(t)\, dt

    It is in [0, 1]: 1 if some model is right on all images and new by 1 or more; 0 for copies,
    however accurate. More models reach more, so compare equal numbers.
    """
    total = reached = 0.0
    for novelty, accuracy in staircase(points):
        end = min(max(novelty, 0.0), 1.0)
        total += (end - reached) * accuracy
        reached = end
    return total


def frontiers(rows: Sequence[Mapping[str, Value]]) -> list[Row]:
    """`area` of every method, and of all trivial baselines together.

    Args:
        rows: of the results table, of one moment of fine-tuning; broken models and ensembles are
            left out.

    Returns:
        One row per source, architecture, protocol, image set and method: these, ``kind``, ``n``
        and ``frontier``.
    """
    kept = [row for row in rows if row["finite"] and row["members"] == 1]
    setting = ("source", "architecture", "protocol", "images")
    found: list[Row] = []
    for key, members in grouped(kept, setting).items():
        named = dict(zip(setting, key, strict=True))
        trivial = [row for row in members if row["kind"] == "baseline"]
        if trivial:
            found.append(named | _reached(TRIVIAL, trivial))
        for (method,), own in grouped(members, ("method",)).items():
            found.append(named | _reached(str(method), own))
    return found


def points_of(rows: Iterable[Mapping[str, Value]]) -> list[Point]:
    """Novelty and accuracy of each row; without a novelty there is no point."""
    points = [(float(row["novelty"]), float(row["accuracy"])) for row in rows]
    return [point for point in points if point[0] == point[0] and point[1] == point[1]]


def _reached(method: str, rows: Sequence[Mapping[str, Value]]) -> Row:
    points = points_of(rows)
    return {
        "method": method,
        "kind": rows[0]["kind"],
        "n": len(points),
        "frontier": area(points) if points else float("nan"),
    }
