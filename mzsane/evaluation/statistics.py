"""What a results table says: one line per source, method and image set."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from mzsane.evaluation.table import Row, Value

RESAMPLES = 1000
"""Bootstrap resamples; the ends of the interval then vary by a few percent of its width."""


def summarise(
    rows: Sequence[Mapping[str, Value]],
    by: Sequence[str] = ("source", "method", "images"),
    seed: int = 0,
) -> list[Row]:
    """Accuracy of every group of rows: its spread, its best, and how sure the mean is.

    Args:
        rows: of the results table.
        by: columns that name a group.
        seed: of the bootstrap; a group's interval depends on its own rows and this only.

    Returns:
        One row per group in order of first appearance: the columns of `by`, then ``kind``, ``n``,
        ``mean``, ``std`` (of the sample; NaN for one model), ``best``, ``median``, ``low`` and
        ``high`` (95 % percentile bootstrap interval of the mean) and ``novelty`` (mean).
    """
    groups: dict[tuple[Value, ...], list[Mapping[str, Value]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in by), []).append(row)
    return [
        {**dict(zip(by, key, strict=True)), **_describe(members, seed)}
        for key, members in groups.items()
    ]


def bootstrap_interval(
    values: Float[np.ndarray, " n"], seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979); one value has no width."""
    rng = np.random.default_rng([seed, len(values)])
    means = rng.choice(values, size=(RESAMPLES, len(values))).mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _describe(rows: Sequence[Mapping[str, Value]], seed: int) -> Row:
    """Statistics of one group."""
    accuracy = np.array([row["accuracy"] for row in rows], dtype=np.float64)
    novelty = np.array([row["novelty"] for row in rows], dtype=np.float64)
    low, high = bootstrap_interval(accuracy, seed)
    return {
        "kind": rows[0]["kind"],
        "n": len(rows),
        "mean": float(accuracy.mean()),
        "std": float(accuracy.std(ddof=1)) if len(rows) > 1 else float("nan"),
        "best": float(accuracy.max()),
        "median": float(np.median(accuracy)),
        "low": low,
        "high": high,
        "novelty": float(novelty.mean()),
    }
