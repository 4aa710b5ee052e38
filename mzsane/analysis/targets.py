"""What is predicted of models."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped

from mzsane.analysis.members import Columns

RESULTS = ("test_acc", "epoch", "ggap")
HYPERPARAMETERS, DATASET, ARCHITECTURE = "hyperparameters", "dataset", "architecture"
TARGETS = (*RESULTS, HYPERPARAMETERS, DATASET, ARCHITECTURE)
"""What is probed if nothing is named; properties of any other name can be."""

ENOUGH = {"train": 3, "validation": 2, "test": 2}
"""Models of each split below which nothing can be learned, chosen or judged."""


class Target(NamedTuple):
    """A property of checkpoints.

    Attributes:
        name: of the property.
        task: ``regression`` of numbers or ``classification`` of texts.
        values: of every checkpoint.
        known: where there is one.
    """

    name: str
    task: str
    values: Shaped[np.ndarray, " rows"]
    known: Bool[np.ndarray, " rows"]


def targets_of(columns: Columns, wanted: Sequence[str] | None) -> list[Target]:
    """The properties that are probed.

    Args:
        columns: of all checkpoints.
        wanted: names of columns; ``hyperparameters`` stands for all columns with ``::`` in their
            name but those of data set and weights, ``dataset`` for ``dataset::name``, or the source
            where the zoo does not tell. None takes those of `TARGETS` that the zoo knows and that
            vary.

    Raises:
        ValueError: a name that there is not, or one that is constant or missing everywhere.
    """
    names = dict.fromkeys(
        name for one in (TARGETS if wanted is None else wanted) for name in _expanded(one, columns)
    )
    if unknown := [name for name in names if name not in columns and wanted is not None]:
        there = ", ".join((HYPERPARAMETERS, DATASET, *sorted(columns)))
        raise ValueError(f"target {unknown[0]}: no checkpoint has it; there is: {there}")
    targets = [_target(name, columns[name]) for name in names if name in columns]
    explicit = {
        name for one in wanted or () if one != HYPERPARAMETERS for name in _expanded(one, columns)
    }
    for target in targets:
        if target.name in explicit and (reason := constant(target, target.known)):
            raise ValueError(f"target {target.name}: {reason}; name one that varies")
    varying = [target for target in targets if not constant(target, target.known)]
    if not varying:
        raise ValueError("none of the targets varies over this zoo; name one with targets=[...]")
    return varying


def constant(target: Target, rows: Bool[np.ndarray, " rows"]) -> str:
    """Why a target cannot be learned from these rows; empty if it can."""
    values = target.values[rows & target.known]
    if not len(values):
        return "missing in all rows"
    if (values == values[0]).all():
        return f"constant ({values[0]})"
    return ""


def too_few(target: Target, columns: Columns, rows: Bool[np.ndarray, " rows"]) -> str:
    """Which split has too few models that know the target; empty if none has."""
    for split, least in ENOUGH.items():
        chosen = rows & target.known & (columns["split"] == split)
        models = len(set(zip(columns["source"][chosen], columns["model"][chosen], strict=True)))
        if models < least:
            return f"{models} models in the {split} split, {least} are needed"
    return ""


def untold(target: Target, columns: Columns, rows: Bool[np.ndarray, " rows"]) -> str:
    """How many of these rows do not tell a target, and the sources that never do; empty if none."""
    missing = rows & ~target.known
    if not missing.any():
        return ""
    telling = set(columns["source"][rows & target.known])
    silent = sorted(set(columns["source"][missing]) - telling)
    whole = f", among them all of {', '.join(silent)}" if silent else ""
    return f"{missing.sum()} of {rows.sum()} checkpoints do not tell it and are left out{whole}"


def _expanded(name: str, columns: Columns) -> list[str]:
    if name == HYPERPARAMETERS:
        other = ("dataset::", "weights::", "zoo::")
        return sorted(key for key in columns if "::" in key and not key.startswith(other))
    if name == DATASET:
        return ["dataset::name" if "dataset::name" in columns else "source"]
    return [name]


def _target(name: str, values: Shaped[np.ndarray, " rows"]) -> Target:
    if values.dtype.kind == "U":
        return Target(name, "classification", values, values != "")
    numbers = values.astype(np.float64)
    return Target(name, "regression", numbers, np.isfinite(numbers))
