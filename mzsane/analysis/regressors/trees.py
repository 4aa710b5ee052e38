"""Trees, each of which mends what those before it leave."""

import numpy as np
from jaxtyping import Shaped

from mzsane.analysis.regressors.learning import Answers, Regressor, Split

TREES = 300
"""At most; how many are used is chosen on validation."""

COLUMNS = 10_000
"""Of features, at most; more take hours."""


def boosting(
    task: str, train: Split, validation: np.ndarray, asked: np.ndarray, seed: int
) -> Answers:
    """Gradient-boosted trees, the best regressor of Unterthiner et al. 2020 (arXiv:2002.11448).

    Scikit-learn's histogram boosting with its own settings, instead of LightGBM with settings that
    were searched at random. Trees see the order of values alone, whatever their scale.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    fitted = kind(max_iter=TREES, early_stopping=False, random_state=seed).fit(train.x, train.y)
    stages = zip(fitted.staged_predict(validation), fitted.staged_predict(asked), strict=True)
    for trees, (guessed, predicted) in enumerate(stages, start=1):
        yield float(trees), guessed, predicted


def too_many(task: str, targets: Shaped[np.ndarray, " rows"], columns: int) -> str:
    """Why trees are not grown; empty if they are."""
    return f"{columns} columns are too many for trees" if columns > COLUMNS else ""


BOOSTING = Regressor(boosting, False, too_many)
