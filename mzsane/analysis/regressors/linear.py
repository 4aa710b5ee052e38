"""Linear maps with a quadratic penalty: for numbers, for classes, and through a sigmoid."""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from mzsane.analysis.regressors.learning import Answers, Regressor, Split, no_shares, whatever

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

PENALTIES = (
    1e3, 3e2, 1e2, 3e1, 1e1, 3e0, 1e0, 3e-1, 1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5,
)  # fmt: skip
"""What the probes of SANE choose from (arXiv:2406.09997), the strongest first."""

STEPS = 1000
"""Of L-BFGS, at most."""


def linear(
    task: str, train: Split, validation: np.ndarray, asked: np.ndarray, seed: int
) -> Answers:
    r"""Ridge regression for numbers, multinomial logistic regression for classes.

    Minimises, with an intercept that is not penalised and :math:`\lambda` from `PENALTIES`,

    .. math:: \sum_i (y_i - w x_i)^2 + \lambda |w|^2 \quad \text{or} \quad
              \sum_i -\log p_w(y_i | x_i) + \tfrac{\lambda}{2} |w|^2,

    the probe of SANE (arXiv:2406.09997). Nothing is random.
    """
    from sklearn.linear_model import Ridge

    for penalty in PENALTIES:
        if task == "regression":
            fitted = Ridge(penalty).fit(train.x, train.y)
        else:
            fitted = _logistic(penalty, train.x, train.y)
        yield penalty, fitted.predict(validation), fitted.predict(asked)


def logit_linear(
    task: str, train: Split, validation: np.ndarray, asked: np.ndarray, seed: int
) -> Answers:
    r"""A linear map through a sigmoid, :math:`\hat y = \sigma(w x + b)`, for shares.

    The logit-linear model of Unterthiner et al. 2020 (arXiv:2002.11448). Minimises

    .. math:: \sum_i -y_i \log \hat y_i - (1 - y_i) \log(1 - \hat y_i) + \tfrac{\lambda}{2} |w|^2

    with :math:`\lambda` from `PENALTIES`: logistic regression on both outcomes of every model,
    weighted by its share of each. There, penalty, optimiser and initialisation were searched at
    random and the squared error was minimised; the cross-entropy is convex, so that its minimum
    depends on none but the penalty. Nothing is random.
    """
    both = np.concatenate([train.x, train.x])
    outcome = np.repeat([1, 0], len(train.y))
    shares = np.concatenate([train.y, 1 - train.y])
    for penalty in PENALTIES:
        fitted = _logistic(penalty, both, outcome, shares)
        yield penalty, fitted.predict_proba(validation)[:, 1], fitted.predict_proba(asked)[:, 1]


def _logistic(
    penalty: float, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None
) -> "LogisticRegression":
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # ended early it is one more way to regularise, judged on validation like others
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=1 / penalty, max_iter=STEPS).fit(x, y, weights)


LINEAR = Regressor(linear, True, whatever)
LOGIT_LINEAR = Regressor(logit_linear, True, no_shares)
