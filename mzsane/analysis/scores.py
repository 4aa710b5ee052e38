"""How good predictions are, and how sure that is."""

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LEVEL = 0.95

Metric = Callable[[np.ndarray, np.ndarray], float]


class Score(NamedTuple):
    """A number, and the interval that the true one lies in; all may be NaN."""

    value: float
    low: float
    high: float


def r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the variance that is explained, scikit-learn's `r2_score`; NaN without variance."""
    if not np.ptp(truth) > 0:
        return float("nan")
    # one of thousands in a bootstrap; scikit-learn checks its arguments fifty times as long
    return float(1 - np.square(truth - predicted).sum() / np.square(truth - truth.mean()).sum())


def kendall(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Rank correlation, SciPy's tau-b; NaN where one of the two is constant."""
    from scipy.stats import kendalltau

    with warnings.catch_warnings():  # SciPy warns of what is documented to be NaN
        warnings.simplefilter("ignore")
        # the p-value is not used, and the exact one takes longest
        return float(kendalltau(truth, predicted, method="asymptotic").statistic)


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the predictions that are right."""
    return float((truth == predicted).mean())


METRICS: dict[str, dict[str, Metric]] = {
    "regression": {"r2": r2, "kendall_tau": kendall},
    "classification": {"accuracy": accuracy},
}


def scored(
    metric: Metric,
    truth: np.ndarray,
    predicted: np.ndarray,
    models: np.ndarray,
    seed: int,
    resamples: int,
) -> Score:
    """A metric with its percentile bootstrap interval (Efron 1979, 95 %) over models.

    Checkpoints of one model are alike, so that drawing them one by one would make intervals too
    narrow: whole models are drawn, with all their checkpoints. Draws for which the metric is not
    defined are left out.

    Args:
        metric: of truth and prediction.
        truth: a value for each checkpoint.
        predicted: likewise.
        models: name of each checkpoint's model.
        seed: of the draws.
        resamples: draws; 0 leaves the interval open (NaN).
    """
    value = metric(truth, predicted)
    _, group = np.unique(models, return_inverse=True)
    members = [np.flatnonzero(group == number) for number in range(group.max() + 1)]
    rng = np.random.default_rng([seed, len(members)])
    found = []
    for _ in range(resamples):
        drawn = rng.integers(len(members), size=len(members))
        rows = np.concatenate([members[number] for number in drawn])
        found.append(metric(truth[rows], predicted[rows]))
    defined = np.array(found)[~np.isnan(found)]
    if np.isnan(value) or not len(defined):
        return Score(value, float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Score(value, float(low), float(high))
