"""Whether one method is better than another, where their models are pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import wilcoxon

from mzsane.evaluation.statistics import bootstrap_interval
from mzsane.evaluation.table import Row, Value

SETTING = ("source", "architecture", "protocol", "images", "epochs", "members")
FAMILY = (*SETTING, "with")
"""What comparisons share that are read together: the methods of one column of one table.

Corrected for a whole table of hundreds, ten pairs could never tell anything: the smallest p of a
signed rank test of n pairs is 2^(1-n).
"""

ORIGINALS = {"reconstructed": "anchors", "heldout_reconstructed": "heldout"}
"""Methods whose i-th model was made of the i-th of another."""

RIVALS = {"refined": "finetuned"}
"""Protocols that spend the same budget on the same models, by their usual names."""


def compare(rows: Sequence[Mapping[str, Value]], seed: int = 0) -> list[Row]:
    """Differences of accuracy between models that are pairs, and how sure they are.

    Pairs are a reconstruction and its original, a model before and after fine-tuning, and a model
    after refinement of its latents and after as much fine-tuning. Pairs of which one is broken are
    left out.

    Args:
        rows: of the results table.
        seed: of the bootstrap.

    Returns:
        One row per comparison: source, architecture, protocol, images, ``method`` (what is
        compared), ``with`` (with what), ``n`` pairs, ``difference`` (mean, in shares of one),
        ``low`` and ``high`` (95 % bootstrap interval over pairs), ``p`` (Wilcoxon's signed rank
        test, two-sided; 1 where all pairs are equal, NaN for fewer than two) and ``p_holm``
        (Holm's correction for the methods of one `FAMILY`).
    """
    found = [
        named | _difference(np.array(pairs), seed) for named, pairs in _comparisons(rows) if pairs
    ]
    families: dict[tuple[Value, ...], list[Row]] = {}
    for row in found:
        families.setdefault(tuple(row[name] for name in FAMILY), []).append(row)
    for family in families.values():
        for row, p in zip(family, holm([float(row["p"]) for row in family]), strict=True):
            row["p_holm"] = p
    return found


def holm(p: Sequence[float]) -> list[float]:
    r"""Holm's step-down correction (1979), which holds the family-wise error whatever depends.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1)\, p_{(j)})

    NaN counts for nothing and stays.
    """
    known = [place for place, value in enumerate(p) if value == value]
    corrected, highest = list(p), 0.0
    for passed, place in enumerate(sorted(known, key=lambda place: p[place])):
        highest = max(highest, min(1.0, (len(known) - passed) * p[place]))
        corrected[place] = highest
    return corrected


def _comparisons(
    rows: Sequence[Mapping[str, Value]],
) -> list[tuple[Row, list[tuple[float, float]]]]:
    """What is compared, and the accuracies of the pairs."""
    single = [row for row in rows if row["members"] == 1]
    accuracy = {
        (*(row[name] for name in SETTING), row["seed"], row["method"], row["model"]): float(
            row["accuracy"]
        )
        for row in single
    }
    groups: dict[tuple[Value, ...], tuple[Row, list[tuple[float, float]]]] = {}
    for row in single:
        for other, key in _partners(row):
            named = {name: row[name] for name in (*SETTING, "method")} | {"with": other}
            pair = (float(row["accuracy"]), accuracy.get(key, float("nan")))
            _, pairs = groups.setdefault(tuple(named.values()), (named, []))
            if np.isfinite(pair).all():
                pairs.append(pair)
    return list(groups.values())


def _partners(row: Mapping[str, Value]) -> list[tuple[str, tuple[Value, ...]]]:
    """Names of what a model is compared with, and the keys of the models."""
    setting = {name: row[name] for name in SETTING}
    seed, method, model = row["seed"], row["method"], row["model"]
    partners: list[tuple[str, tuple[Value, ...]]] = []
    if method in ORIGINALS:
        original = ORIGINALS[str(method)]
        partners.append((original, (*setting.values(), seed, original, model)))
    if row["epochs"] != 0:
        before = setting | {"epochs": 0.0}
        partners.append(("itself before", (*before.values(), seed, method, model)))
        if rival := RIVALS.get(str(row["protocol"])):
            other = setting | {"protocol": rival}
            partners.append((rival, (*other.values(), seed, method, model)))
    return partners


def _difference(pairs: Float[np.ndarray, "pairs 2"], seed: int) -> Row:
    """Statistics of the differences."""
    gaps = pairs[:, 0] - pairs[:, 1]
    low, high = bootstrap_interval(gaps, seed)
    return {
        "n": len(gaps),
        "difference": float(gaps.mean()),
        "low": low,
        "high": high,
        "p": _p(gaps),
    }


def _p(gaps: Float[np.ndarray, " pairs"]) -> float:
    if len(gaps) < 2:
        return float("nan")
    return float(wilcoxon(gaps).pvalue) if gaps.any() else 1.0
