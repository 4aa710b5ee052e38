"""Predictors that see training models, choose one number on validation, and answer for others."""

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

PENALTIES = (
    1e3, 3e2, 1e2, 3e1, 1e1, 3e0, 1e0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5,
)  # fmt: skip
"""What the probes of SANE choose from (arXiv:2406.09997), the strongest first."""

REGRESSORS = ("linear", "boosting")
TREES = 300
"""Of boosting, at most; how many are used is chosen on validation."""


STEPS = 1000
"""Of logistic regression, at most."""


class Split(NamedTuple):
    """Features and target of the models of one split."""

    x: Float[np.ndarray, "rows dims"]
    y: Shaped[np.ndarray, " rows"]


class Answer(NamedTuple):
    """What a probe says.

    Attributes:
        predicted: for the rows that it was asked about.
        choice: the number that was chosen on validation: penalty or trees; NaN if there is none.
    """

    predicted: Shaped[np.ndarray, " rows"]
    choice: float


def predict(
    regressor: str,
    task: str,
    train: Split,
    validation: Split,
    asked: Float[np.ndarray, "rows dims"],
    seed: int = 0,
) -> Answer:
    r"""Learn from `train`, choose on `validation`, answer for `asked`.

    ``linear`` minimises, with an intercept that is not penalised,

    .. math:: \sum_i (y_i - w x_i)^2 + \lambda |w|^2 \quad \text{or} \quad
              \sum_i -\log p_w(y_i | x_i) + \tfrac{\lambda}{2} |w|^2,

    ridge regression for numbers and multinomial logistic regression for classes, with
    :math:`\lambda` from `PENALTIES`. ``boosting`` is scikit-learn's histogram gradient boosting;
    Unterthiner et al. used boosted trees (arXiv:2002.11448). Chosen is what has the largest R² or
    accuracy on validation; of equals the simplest.

    Args:
        regressor: one of `REGRESSORS`.
        task: ``regression`` or ``classification``.
        train: what is learned from.
        validation: what penalty or number of trees is chosen on.
        asked: features of other models, whose targets are not seen.
        seed: of boosting.

    Raises:
        ValueError: an unknown regressor.
    """
    if regressor not in REGRESSORS:
        raise ValueError(f"regressors={regressor}: choose from {', '.join(REGRESSORS)}")
    answers = _boosted if regressor == "boosting" else _linear
    best, chosen = -np.inf, None
    for choice, guessed, predicted in answers(task, train, validation.x, asked, seed):
        score = _goodness(task, validation.y, guessed)
        if score > best:
            best, chosen = score, Answer(predicted, choice)
    assert chosen is not None, "the features are finite, and so is the first answer"
    return chosen


def trivial(task: str, train: Split, rows: int) -> Answer:
    """What one says without looking: the mean of the training models, or their most frequent."""
    if task == "regression":
        return Answer(np.full(rows, train.y.mean()), float("nan"))
    names, counts = np.unique(train.y, return_counts=True)
    return Answer(np.full(rows, names[counts.argmax()]), float("nan"))


Answers = Iterator[tuple[float, np.ndarray, np.ndarray]]
"""Choices, from the simplest, and what each predicts for validation and for those asked about."""


def _linear(task: str, train: Split, validation: np.ndarray, asked: np.ndarray, _: int) -> Answers:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    for penalty in PENALTIES:
        if task == "regression":
            fitted = Ridge(penalty).fit(train.x, train.y)
        else:
            fitted = LogisticRegression(C=1 / penalty, max_iter=STEPS)
            with warnings.catch_warnings():
                # ended early it is one more way to regularise, judged on validation like others
                warnings.simplefilter("ignore", ConvergenceWarning)
                fitted.fit(train.x, train.y)
        yield penalty, fitted.predict(validation), fitted.predict(asked)


def _boosted(
    task: str, train: Split, validation: np.ndarray, asked: np.ndarray, seed: int
) -> Answers:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    fitted = kind(max_iter=TREES, early_stopping=False, random_state=seed).fit(train.x, train.y)
    stages = zip(fitted.staged_predict(validation), fitted.staged_predict(asked), strict=True)
    for trees, (guessed, predicted) in enumerate(stages, start=1):
        yield float(trees), guessed, predicted


def _goodness(task: str, truth: np.ndarray, guessed: np.ndarray) -> float:
    """What orders answers as R² and accuracy do, and is defined for constant truth, too."""
    if task == "regression":
        return -float(np.square(truth - guessed).mean())
    return float((truth == guessed).mean())
