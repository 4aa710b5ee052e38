"""What a trial folder tells in words and numbers: hyper-parameters, and results of every epoch."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mzsane.zoos.reading.trees import Tree

DESCRIPTIONS = ("params.json", "config.json")  # most published zoos, and those of transformers
RESULTS = "result.json"
_SHARES = ("acc", "accuracy", "gap")  # last parts of the names of what may be given in percent
# Ray's notes on each line: where and when it ran, and the hyper-parameters once more
_BOOKKEEPING = {"config", "date", "hostname", "node_ip", "pid", "timestamp", "trial_id"}

Results = dict[int, dict[str, float | str]]
"""Properties by the number of the checkpoint that they belong to."""


def description(trial: Tree) -> Tree | None:
    """The file with the hyper-parameters."""
    return next((trial / name for name in DESCRIPTIONS if (trial / name).is_file()), None)


def read_params(file: Tree) -> dict[str, Any]:
    """Hyper-parameters as they are written; some zoos wrap them once more.

    Raises:
        ValueError: the file holds no JSON object.
    """
    params = json.loads(file.read_text())
    if not isinstance(params, dict):
        raise ValueError(f"{file.name} holds no names with values")
    inner = params.get("train_loop_config")
    return inner if isinstance(inner, dict) else params


def read_results(trial: Tree) -> Results:
    """Results by number of the checkpoint; of values that are repeated the last counts.

    A line belongs to the checkpoint whose number is its ``training_iteration``, or, where it has
    none, its ``epoch``: the trainers of such zoos (WeightCLIP) count from 0, and number
    checkpoints and lines by one counter, so that no shift is needed. Never does a line's place
    count, since some zoos begin with 0 and others with 1, and trials that were continued repeat
    epochs. A line that was cut off, because the trial was killed, is left out; a later line of the
    same number adds to the earlier, as annotations made afterwards do.

    Raises:
        ValueError: no line can be read and tells its number.
    """
    file = trial / RESULTS
    if not file.is_file():
        return {}
    lines = [line for line in file.read_text().splitlines() if line.strip()]
    results: Results = {}
    for line in _decoded(lines):
        number = line.get("training_iteration", line.get("epoch"))
        if number is not None:  # else it speaks of the trial as a whole
            results.setdefault(int(number), {}).update(scalars(line))
    if lines and not results:
        raise ValueError(f"no line of {RESULTS} is JSON with training_iteration or epoch")
    return results


def _decoded(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            values = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(values, dict):
            raise ValueError(f"a line of {RESULTS} is no JSON object")
        yield values


def scalars(values: Mapping[str, Any]) -> dict[str, float | str]:
    """Numbers and words; what is nested gets its path as name, lists and notes are left out."""
    found: dict[str, float | str] = {}
    for key, value in values.items():
        if key in _BOOKKEEPING:
            continue
        if isinstance(value, dict):
            found |= {f"{key}::{name}": inner for name, inner in scalars(value).items()}
        elif isinstance(value, int | float | str):
            found[key] = value if isinstance(value, str) else float(value)
    return found


def in_percent(zoo: Iterable[Results]) -> bool:
    """Whether accuracies are given in percent: one of them exceeds 1.

    To be asked of many models at all epochs: of a single one that learnt nothing, with hundreds
    of classes, no accuracy might reach 1 %.
    """
    return any(
        isinstance(value, float) and value > 1 and name.endswith(_SHARES[:2])
        for results in zoo
        for values in results.values()
        for name, value in values.items()
    )


def shares(values: Mapping[str, float | str]) -> dict[str, float | str]:
    """Accuracies and their differences in percent as shares of one."""
    return {
        name: value / 100 if isinstance(value, float) and name.endswith(_SHARES) else value
        for name, value in values.items()
    }


def with_gap(values: Mapping[str, float | str]) -> dict[str, float | str]:
    """Adds the generalisation gap, train minus test accuracy, where it follows."""
    if {"train_acc", "test_acc"} <= values.keys():
        return {**values, "ggap": float(values["train_acc"]) - float(values["test_acc"])}
    return dict(values)
