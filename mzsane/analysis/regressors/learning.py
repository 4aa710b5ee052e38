"""What all regressors have in common."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped


class Split(NamedTuple):
    """Features and target of the models of one split."""

    x: Float[np.ndarray, "rows dims"]
    y: Shaped[np.ndarray, " rows"]


Answers = Iterator[tuple[float, np.ndarray, np.ndarray]]
"""Choices, from the simplest, and what each predicts for validation and for those asked about."""


class Regressor(NamedTuple):
    """A way to learn, with one number that is left to be chosen on validation.

    Attributes:
        answers: of the task (``regression`` or ``classification``), the training models, features
            of validation models, features of those asked about, and a seed.
        scaled: whether features are standardised first (`mzsane.analysis.features.coordinates`) or
            taken as they are.
        refusal: why it cannot learn, from the task, the targets of the training models and the
            number of columns; empty if it can.
    """

    answers: Callable[[str, Split, np.ndarray, np.ndarray, int], Answers]
    scaled: bool
    refusal: Callable[[str, np.ndarray, int], str]


def no_shares(task: str, targets: Shaped[np.ndarray, " rows"], _: int) -> str:
    """Why a sigmoid cannot predict a target: it is no number, or not always within [0, 1]."""
    if task != "regression":
        return "a sigmoid predicts numbers within [0, 1], not classes"
    if targets.min() < 0 or targets.max() > 1:
        low, high = f"{targets.min():.4g}", f"{targets.max():.4g}"
        return f"a sigmoid predicts numbers within [0, 1], these are from {low} to {high}"
    return ""


def whatever(task: str, targets: Shaped[np.ndarray, " rows"], columns: int) -> str:
    """Nothing is refused."""
    return ""
