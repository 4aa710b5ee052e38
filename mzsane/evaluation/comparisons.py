"""Whether one method is better than another: where models are pairs, and where they are not."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import mannwhitneyu, wilcoxon

from mzsane.evaluation.statistics import bootstrap_interval, interval_between
from mzsane.evaluation.table import Row, Value, grouped

SETTING = ("source", "architecture", "protocol", "images", "epochs", "members")
ORIGINALS = {"reconstructed": "anchors", "heldout_reconstructed": "heldout"}
"""Methods whose i-th model was made of the i-th of another."""

RIVALS = {"refined": "finetuned"}
"""Protocols that may spend the same budget on the same models, by their usual names."""

SIGNED_RANK, MANN_WHITNEY = "signed rank", "Mann-Whitney"
Pairs = list[tuple[Mapping[str, Value], Mapping[str, Value]]]


def compare(rows: Sequence[Mapping[str, Value]], seed: int = 0) -> list[Row]:
    """Differences of accuracy between methods, and how sure they are.

    Pairs are a reconstruction and its original, a model before and after fine-tuning, and a model
    after refinement of its latents and after as much fine-tuning. Pairs of which one is broken are
    left out. Samplers, whose models have no partners, are compared with the trivial baseline whose
    mean novelty is nearest (`against_nearest`).

    Args:
        rows: of the results table.
        seed: of the bootstrap.

    Returns:
        One row per comparison: see `mzsane.evaluation.columns.COMPARISONS`. ``p`` is that of
        Wilcoxon's signed rank test of pairs, or of Mann and Whitney's; 1 where all are equal, NaN
        for fewer than two. ``p_holm`` is Holm's correction for what is read together: methods that
        are compared with the same in one setting, or samplers in one setting.
    """
    found = [named | _paired(pairs, seed) for named, pairs in _comparisons(rows) if pairs]
    found += against_nearest(rows, seed)
    families: dict[tuple[Value, ...], list[Row]] = {}
    for row in found:
        families.setdefault(_family(row), []).append(row)
    for family in families.values():
        for row, p in zip(family, holm([float(row["p"]) for row in family]), strict=True):
            row["p_holm"] = p
    return found


def _family(row: Row) -> tuple[Value, ...]:
    """What comparisons share that are read together: the methods of one column of one table.

    Corrected for a whole table of hundreds, ten pairs could never tell anything: the smallest p of
    a signed rank test of n pairs is 2^(1-n).
    """
    partner = row["with"] if row["test"] == SIGNED_RANK else "the nearest baseline"
    return (*(row[name] for name in SETTING), row["test"], partner)


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


def against_nearest(rows: Sequence[Mapping[str, Value]], seed: int = 0) -> list[Row]:
    """Each sampler beside the trivial baseline of nearest mean novelty, in the same setting.

    A baseline has two models or more, which an average of all has not. Of a protocol in which no
    baseline takes part (refinement), it is that of fine-tuning for as many epochs.

    Args:
        rows: of the results table.
        seed: of the bootstrap, which resamples both sides.

    Returns:
        As `compare`, without ``p_holm``.
    """
    known = [row for row in rows if row["members"] == 1 and _placed(row)]
    samplers = _by_setting(row for row in known if row["kind"] == "sampler")
    baselines = _by_setting(row for row in known if row["kind"] == "baseline")
    found: list[Row] = []
    for setting, methods in samplers.items():
        rivals = (key for key in _equal_budgets(setting) if key in baselines)
        trivial = baselines.get(next(rivals, setting), {})
        several = {name: theirs for name, theirs in trivial.items() if len(theirs) > 1}
        for name, ours in methods.items() if several else ():
            nearest = min(several, key=lambda other: abs(_novelty(several[other]) - _novelty(ours)))
            named = {**dict(zip(SETTING, setting, strict=True)), "method": name, "with": nearest}
            found.append(named | _unpaired(ours, several[nearest], seed))
    return found


def _placed(row: Mapping[str, Value]) -> bool:
    """Whether a model has accuracy and novelty."""
    return bool(np.isfinite([float(row["accuracy"]), float(row["novelty"])]).all())


def _by_setting(
    rows: Iterable[Mapping[str, Value]],
) -> dict[tuple[Value, ...], dict[Value, list[Mapping[str, Value]]]]:
    """Rows by setting, then by method."""
    return {
        setting: {name: own for (name,), own in grouped(members, ("method",)).items()}
        for setting, members in grouped(rows, SETTING).items()
    }


def _equal_budgets(setting: tuple[Value, ...]) -> list[tuple[Value, ...]]:
    """The setting itself, and those of protocols that spend as much."""
    place = SETTING.index("protocol")
    return [
        (*setting[:place], protocol, *setting[place + 1 :])
        for protocol in (setting[place], *_rivals(setting[place]))
    ]


def _comparisons(rows: Sequence[Mapping[str, Value]]) -> list[tuple[Row, Pairs]]:
    """What is compared, and the rows of the pairs."""
    single = [row for row in rows if row["members"] == 1]
    known = {
        (*(row[name] for name in SETTING), row["seed"], row["method"], row["model"]): row
        for row in single
    }
    groups: dict[tuple[Value, ...], tuple[Row, Pairs]] = {}
    for row in single:
        for other, key in _partners(row):
            named = {name: row[name] for name in (*SETTING, "method")} | {"with": other}
            _, pairs = groups.setdefault(tuple(named.values()), (named, []))
            partner = known.get(key)
            if partner and np.isfinite([row["accuracy"], partner["accuracy"]]).all():
                pairs.append((row, partner))
    return list(groups.values())


def _rivals(protocol: Value) -> list[str]:
    """Protocols that may spend as much; see `mzsane.evaluation.protocols.with_twins`."""
    usual = [RIVALS[str(protocol)]] if protocol in RIVALS else []
    return [*usual, f"{protocol}_twin"]


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
        for rival in _rivals(row["protocol"]):
            other = setting | {"protocol": rival}
            partners.append((rival, (*other.values(), seed, method, model)))
    return partners


def _paired(pairs: Pairs, seed: int) -> Row:
    """Statistics of the differences of pairs."""
    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
    gaps = _accuracy(ours) - _accuracy(theirs)
    p = wilcoxon(gaps).pvalue if gaps.any() and len(gaps) > 1 else _undecided(len(gaps))
    return _told(SIGNED_RANK, ours, theirs, bootstrap_interval(gaps, seed), float(p))


def _unpaired(
    ours: Sequence[Mapping[str, Value]], theirs: Sequence[Mapping[str, Value]], seed: int
) -> Row:
    """Statistics of two samples."""
    a, b = _accuracy(ours), _accuracy(theirs)
    decided = len(a) > 1 and len({*a, *b}) > 1
    p = mannwhitneyu(a, b).pvalue if decided else _undecided(len(a))
    return _told(MANN_WHITNEY, ours, theirs, interval_between(a, b, seed), float(p))


def _told(
    test: str,
    ours: Sequence[Mapping[str, Value]],
    theirs: Sequence[Mapping[str, Value]],
    interval: tuple[float, float],
    p: float,
) -> Row:
    return {
        "test": test,
        "n": len(ours),
        "n_with": len(theirs),
        "novelty": _novelty(ours),
        "novelty_with": _novelty(theirs),
        "difference": float(_accuracy(ours).mean() - _accuracy(theirs).mean()),
        "low": interval[0],
        "high": interval[1],
        "p": p,
    }


def _accuracy(rows: Sequence[Mapping[str, Value]]) -> Float[np.ndarray, " models"]:
    return np.array([row["accuracy"] for row in rows], dtype=np.float64)


def _novelty(rows: Sequence[Mapping[str, Value]]) -> float:
    return float(np.mean([float(row["novelty"]) for row in rows]))


def _undecided(n: int) -> float:
    """The p of what cannot differ, or cannot be tested."""
    return float("nan") if n < 2 else 1.0
