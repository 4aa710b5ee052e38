"""Which checkpoints of a store to use, judged by what is known of them.

A filter is any callable that takes the columns of a store's rows (``model``, ``epoch``, every
property, ``weights::max_abs``, ``weights::norm``) and tells row by row whether to keep it. It looks
at the values alone, never at the order of the rows. A missing value is NaN, and is not kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped

from mzsane.zoos.splits import order

Columns = Mapping[str, Shaped[np.ndarray, " rows"]]
Filter = Callable[[Columns], Bool[np.ndarray, " rows"]]


@dataclass(frozen=True)
class Accuracy:
    """Checkpoints within a range of accuracy, both ends included.

    Args:
        minimum: share of one; None sets no limit.
        maximum: share of one; None sets no limit.
        of: the property, for example ``val_acc``; any other number will do as well.
    """

    minimum: float | None = None
    maximum: float | None = None
    of: str = "test_acc"

    def __call__(self, columns: Columns) -> Bool[np.ndarray, " rows"]:
        """Whether each row is within the range.

        Raises:
            ValueError: if there is no such property, or it is no number.
        """
        low = -np.inf if self.minimum is None else self.minimum
        high = np.inf if self.maximum is None else self.maximum
        values = numbers(columns, self.of)
        return (values >= low) & (values <= high)


@dataclass(frozen=True)
class Quantile:
    """Checkpoints whose property lies between two quantiles of all values known, ends included.

    ``Quantile("test_acc", 0.75)`` is the best quarter. Rows of equal value stay together.

    Args:
        of: the property.
        low: share of the values below those kept.
        high: share of the values not above those kept.

    Raises:
        ValueError: unless 0 ≤ low < high ≤ 1.
    """

    of: str = "test_acc"
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        """Check what the user gave."""
        if not 0 <= self.low < self.high <= 1:
            raise ValueError(f"quantiles from {self.low} to {self.high}: give 0 <= low < high <= 1")

    def __call__(self, columns: Columns) -> Bool[np.ndarray, " rows"]:
        """Whether each row is between the quantiles.

        Raises:
            ValueError: if there is no such property, or it is no number.
        """
        values = numbers(columns, self.of)
        known = values[~np.isnan(values)]
        if not len(known):
            return np.zeros(len(values), bool)
        # values that are there, so that rounding cannot leave out the one at the end
        low = np.quantile(known, self.low, method="higher")
        high = np.quantile(known, self.high, method="lower")
        return (values >= low) & (values <= high)


@dataclass(frozen=True)
class Magnitude:
    """Checkpoints without a weight larger than a limit, which training that diverged leaves.

    Args:
        maximum: largest absolute value of any weight.
    """

    maximum: float

    def __call__(self, columns: Columns) -> Bool[np.ndarray, " rows"]:
        """Whether each row stays below the limit."""
        return numbers(columns, "weights::max_abs") <= self.maximum


@dataclass(frozen=True)
class First:
    """All checkpoints of the first so many models in a random order of their names.

    Nested: the first 50 are among the first 100, in a zoo that has more models, too, unless a new
    one comes before them.

    Args:
        models: how many.
        seed: draws another order.
    """

    models: int
    seed: int = 0

    def __call__(self, columns: Columns) -> Bool[np.ndarray, " rows"]:
        """Whether each row's model is among them.

        Raises:
            ValueError: if there are fewer models.
        """
        names = sorted(set(columns["model"]), key=lambda name: (order(str(name), self.seed), name))
        if not 1 <= self.models <= len(names):
            raise ValueError(f"the first {self.models} models asked for, there are {len(names)}")
        return np.isin(columns["model"], names[: self.models])


class Kept(NamedTuple):
    """What filters leave.

    Attributes:
        rows: whether each row is kept.
        account: what each filter left out, in words.
    """

    rows: Bool[np.ndarray, " rows"]
    account: dict[str, str]


def keep(columns: Columns, filters: Mapping[str, Filter]) -> Kept:
    """Apply filters by name, each to what those before it have kept.

    Raises:
        ValueError: if a filter names an unknown property, does not answer row by row, or leaves
            nothing.
    """
    rows, account = np.ones(len(columns["model"]), bool), {}
    for name, judge in filters.items():
        left = {key: values[rows] for key, values in columns.items()}
        verdict = _verdict(name, judge, left)
        account[name] = f"{(~verdict).sum()} of {len(verdict)} left out{_unknown(judge, left)}"
        if not verdict.any():
            raise ValueError(f"filter {name!r} leaves nothing: {account[name]}; loosen it")
        rows[rows] = verdict
    return Kept(rows, account)


def numbers(columns: Columns, of: str) -> Shaped[np.ndarray, " rows"]:
    """A column of numbers.

    Raises:
        ValueError: if there is no such property, or it is no number.
    """
    known = [name for name, values in columns.items() if values.dtype.kind in "fiub"]
    if of not in known:
        what = "is not a number" if of in columns else "is not known of these models"
        raise ValueError(f"property {of!r} {what}; there is: {', '.join(sorted(known))}")
    return columns[of].astype(float)


def _verdict(name: str, judge: Filter, columns: Columns) -> Bool[np.ndarray, " rows"]:
    try:
        verdict = np.asarray(judge(columns))
    except ValueError as error:
        raise ValueError(f"filter {name!r}: {error}") from error
    if verdict.dtype != bool or verdict.shape != columns["model"].shape:
        raise ValueError(
            f"filter {name!r}: gives {verdict.dtype}{list(verdict.shape)}; it must give one bool "
            f"for each of {len(columns['model'])} rows"
        )
    return verdict


def _unknown(judge: Filter, columns: Columns) -> str:
    """How many rows lack the property that a filter looks at."""
    of = "weights::max_abs" if isinstance(judge, Magnitude) else getattr(judge, "of", None)
    missing = int(np.isnan(numbers(columns, of)).sum()) if of else 0
    return f", {missing} of them without {of}" if missing else ""
