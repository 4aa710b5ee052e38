"""What a results table says: one line per source, method, protocol and image set."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from mzsane.evaluation.table import Row, Value, grouped

RESAMPLES = 1000
"""Bootstrap resamples; the ends of the interval then vary by a few percent of its width."""

GROUP = ("source", "architecture", "protocol", "method", "images", "epochs", "members")
"""Columns that tell groups of models apart."""


def summarise(
    rows: Sequence[Mapping[str, Value]], by: Sequence[str] = GROUP, seed: int = 0
) -> list[Row]:
    """Accuracy of every group of rows: its spread, its best, and how sure the mean is.

    Broken models, of which a weight or the loss is not finite, are counted and left out of all
    numbers; of a group without others, numbers are NaN.

    Spreads and intervals take the models of a group for independent draws. They are draws from one
    autoencoder and, of one seed, around one set of anchors, so an interval says how sure the mean
    of that sampler around those anchors is; what another training or other anchors would give
    shows in runs with other seeds only, and varies more. Ensembles of a method share members, and
    their intervals are too narrow.

    Args:
        rows: of the results table.
        by: columns that name a group.
        seed: of the bootstrap; a group's interval depends on its own rows and this only.

    Returns:
        One row per group in order of first appearance: the columns of `by`, then ``kind``,
        ``seeds`` (how many there are), ``n``, ``broken``, ``mended`` (sum over all models),
        ``mean``, ``std`` (of the sample; NaN for one model), ``best``, ``median``, ``low`` and
        ``high`` (95 % percentile bootstrap interval of the mean) of accuracies, and the means of
        ``novelty``, ``diversity``, ``disagreement``, ``agreement`` and ``error_overlap``.
    """
    return [
        {**dict(zip(by, key, strict=True)), **_describe(members, seed)}
        for key, members in grouped(rows, by).items()
    ]


def final(rows: Sequence[Mapping[str, Value]]) -> list[Row]:
    """Of each protocol, what was found after the most fine-tuning."""
    last: dict[tuple[Value, ...], Value] = {}
    for row in rows:
        key = _setting(row)
        last[key] = max(row["epochs"], last.get(key, 0.0))
    return [dict(row) for row in rows if row["epochs"] == last[_setting(row)]]


def bootstrap_interval(
    values: Float[np.ndarray, " n"], seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean (Efron 1979); one value has no width.

    Values are resampled one by one, as if independent: the interval knows nothing of what models
    of one autoencoder, and one set of anchors, have in common (see `summarise`).
    """
    return _middle(_means(values, np.random.default_rng([seed, len(values)])), level)


def interval_between(
    a: Float[np.ndarray, " n"], b: Float[np.ndarray, " m"], seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Percentile bootstrap interval of mean(a) - mean(b); the two are resampled independently."""
    rng = np.random.default_rng([seed, len(a), len(b)])
    return _middle(_means(a, rng) - _means(b, rng), level)


def _means(
    values: Float[np.ndarray, " n"], rng: np.random.Generator
) -> Float[np.ndarray, " resamples"]:
    return rng.choice(values, size=(RESAMPLES, len(values))).mean(axis=1)


def _middle(found: Float[np.ndarray, " resamples"], level: float) -> tuple[float, float]:
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _setting(row: Mapping[str, Value]) -> tuple[Value, ...]:
    """The fine-tuning of one image set may have more steps an epoch than that of another."""
    return (row["source"], row["architecture"], row["protocol"], row["images"])


def _describe(rows: Sequence[Mapping[str, Value]], seed: int) -> Row:
    """Statistics of one group."""
    whole = [row for row in rows if row["finite"]]
    return {
        "kind": rows[0]["kind"],
        "seeds": len({row["seed"] for row in rows}),
        "n": len(whole),
        "broken": len(rows) - len(whole),
        "mended": sum(int(row.get("mended", 0)) for row in rows),  # no column of older tables
        **_spread(np.array([row["accuracy"] for row in whole], dtype=np.float64), seed),
        **{name: _mean(row[name] for row in whole) for name in AVERAGED},
    }


AVERAGED = ("novelty", "diversity", "disagreement", "agreement", "error_overlap")


def _spread(accuracy: Float[np.ndarray, " n"], seed: int) -> Row:
    """Of accuracies, perhaps of none."""
    if not len(accuracy):
        return dict.fromkeys(("mean", "std", "best", "median", "low", "high"), float("nan"))
    low, high = bootstrap_interval(accuracy, seed)
    return {
        "mean": float(accuracy.mean()),
        "std": float(accuracy.std(ddof=1)) if len(accuracy) > 1 else float("nan"),
        "best": float(accuracy.max()),
        "median": float(np.median(accuracy)),
        "low": low,
        "high": high,
    }


def _mean(values: Iterable[Value]) -> float:
    """NaN of nothing."""
    numbers = [float(value) for value in values]
    return float(np.mean(numbers)) if numbers else float("nan")
