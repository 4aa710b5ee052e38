"""Accuracy against novelty as one number."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
from jaxtyping import Float

from mzsane.evaluation.statistics import RESAMPLES
from mzsane.evaluation.table import Row, Value, family_of, grouped

Point = tuple[float, float]
TRIVIAL = "all baselines"
"""Name of what the trivial baselines reach together."""

SETTING = ("source", "architecture", "protocol", "images", "seed")


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
    however accurate. More models reach more, so compare equal numbers:
    see `reached`.
    """
    total = reached = 0.0
    for novelty, accuracy in staircase(points):
        end = min(max(novelty, 0.0), 1.0)
        total += (end - reached) * accuracy
        reached = end
    return total


def reached(families: Sequence[Sequence[Point]], n: int, seed: int) -> Float[np.ndarray, " draws"]:
    """Areas under what `n` models reach that are drawn anew, with replacement, from those found.

    Args:
        families: the points of each; `n` of every one reach a frontier together.
        n: models of a draw.
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, n])
    drawn = []
    for points in families:
        mask = np.zeros((RESAMPLES, len(points)), dtype=bool)
        places = rng.integers(len(points), size=(RESAMPLES, n))
        np.put_along_axis(mask, places, True, axis=1)
        drawn.append(mask)
    novelty, accuracy = np.array(list(chain(*families))).T
    order = novelty.argsort()
    found = np.where(np.concatenate(drawn, axis=1)[:, order], accuracy[order], 0.0)
    best = np.maximum.accumulate(found[:, ::-1], axis=1)[:, ::-1]
    return best @ np.diff(novelty[order].clip(0, 1), prepend=0.0)


def frontiers(rows: Sequence[Mapping[str, Value]], seed: int = 0) -> list[Row]:
    """`area` of every family of methods, and of all trivial baselines together.

    Methods of one family differ in strength only and share one frontier. A larger number of models
    reaches more, so that families are compared by ``equal``: the area that ``equal_n`` models of
    each reach, as many as the smallest family of samplers has, or without samplers the smallest of
    all. All baselines together have so many of each family, hence more.

    Args:
        rows: of the results table, of one moment of fine-tuning; broken models and ensembles are
            left out.
        seed: of the draws.

    Returns:
        One row per source, architecture, protocol, image set, seed and family: see
        `mzsane.evaluation.columns.FRONTIER`. ``low`` and ``high`` are the middle 95 % of what so
        many models reach. They hold for one autoencoder, as all intervals here.
    """
    kept = [row for row in rows if row["finite"] and row["members"] == 1]
    found: list[Row] = []
    for key, members in grouped(kept, SETTING).items():
        named = dict(zip(SETTING, key, strict=True))
        families: dict[str, list[Mapping[str, Value]]] = {}
        for row in members:
            families.setdefault(family_of(row), []).append(row)
        found += [named | row for row in _families(families, seed)]
    return found


def points_of(rows: Iterable[Mapping[str, Value]]) -> list[Point]:
    """Novelty and accuracy of each row; without a novelty there is no point."""
    points = [(float(row["novelty"]), float(row["accuracy"])) for row in rows]
    return [point for point in points if point[0] == point[0] and point[1] == point[1]]


def _families(families: Mapping[str, Sequence[Mapping[str, Value]]], seed: int) -> list[Row]:
    """Areas of one setting; first that of all baselines, where there are some."""
    kinds = {name: str(rows[0]["kind"]) for name, rows in families.items()}
    points = {name: known for name, rows in families.items() if (known := points_of(rows))}
    sizes = {name: len(known) for name, known in points.items()}
    drawn = [n for name, n in sizes.items() if kinds[name] == "sampler"] or list(sizes.values())
    n = min(drawn, default=0)
    trivial = [name for name in families if kinds[name] == "baseline"]
    rows = [_area(TRIVIAL, "baseline", [points.get(name, []) for name in trivial], n, seed)]
    alone = (_area(name, kinds[name], [points.get(name, [])], n, seed) for name in families)
    return [*(rows if trivial else []), *alone]


def _area(family: str, kind: str, families: list[list[Point]], n: int, seed: int) -> Row:
    """One line of the table; NaN for families without points."""
    known = [points for points in families if points]
    together = list(chain(*known))
    areas = reached(known, n, seed) if known else np.array([np.nan])
    low, high = np.quantile(areas, [0.025, 0.975])
    return {
        "family": family,
        "kind": kind,
        "n": len(together),
        "frontier": area(together) if known else float("nan"),
        "equal_n": n,
        "equal": float(areas.mean()),
        "low": float(low),
        "high": float(high),
    }
