"""Predictors that see training models, choose one number on validation, and answer for others."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from mzsane.analysis.regressors import REGRESSORS, Split


class Answer(NamedTuple):
    """What a probe says.

    Attributes:
        predicted: for the rows that it was asked about.
        choice: the number that was chosen on validation: penalty, trees or steps; NaN if there is
            none.
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
    """Learn from `train`, choose on `validation`, answer for `asked`.

    Chosen is what has the largest R² or accuracy on validation; of equals the simplest.

    Args:
        regressor: one of `REGRESSORS`, which say what they minimise.
        task: ``regression`` or ``classification``.
        train: what is learned from.
        validation: what penalty, number of trees or number of steps is chosen on.
        asked: features of other models, whose targets are not seen.
        seed: of boosting and of networks.

    Raises:
        ValueError: an unknown regressor.
    """
    if regressor not in REGRESSORS:
        raise ValueError(f"regressors={regressor}: choose from {', '.join(REGRESSORS)}")
    best, chosen = -np.inf, None
    answers = REGRESSORS[regressor].answers(task, train, validation.x, asked, seed)
    for choice, guessed, predicted in answers:
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


def _goodness(task: str, truth: np.ndarray, guessed: np.ndarray) -> float:
    """What orders answers as R² and accuracy do, and is defined for constant truth, too."""
    if task == "regression":
        return -float(np.square(truth - guessed).mean())
    return float((truth == guessed).mean())
