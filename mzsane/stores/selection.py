"""Which models and epochs of a source a run reads."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Int64

from mzsane.zoos import SPLITS, order, split_of


def chosen_models(
    models: Iterable[str], split: str | None, num_models: int | None, source: str
) -> list[str]:
    """The first `num_models` networks of a split in an order that depends on their names alone.

    Raises:
        ValueError: an unknown split, or fewer networks than asked for.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split {split!r}: choose from {', '.join(SPLITS)}")
    names = {str(name) for name in models}
    names = {name for name in names if split is None or split_of(name) == split}
    if num_models is not None and not 1 <= num_models <= len(names):
        where = f"in its {split} split" if split else "in all"
        raise ValueError(f"{source}: num_models={num_models} asked for, {len(names)} are {where}")
    return sorted(names, key=lambda name: (order(name), name))[:num_models]


def chosen_epochs(
    stored: Int64[np.ndarray, " models"], epochs: Sequence[int] | None, source: str
) -> Bool[np.ndarray, " models"]:
    """Which rows belong to one of `epochs`; None takes all.

    Raises:
        ValueError: if an epoch is asked for that no row has.
    """
    if epochs is None:
        return np.ones(len(stored), bool)
    if missing := sorted(set(epochs) - set(stored.tolist())):
        raise ValueError(
            f"{source}: epochs {missing} asked for, stored are {np.unique(stored).tolist()}"
        )
    return np.isin(stored, list(epochs))
