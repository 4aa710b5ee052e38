"""Trial folders, the layout of the published zoos: one folder a model, one checkpoint an epoch.

<zoo>/<trial>/params.json or config.json         hyper-parameters, flat (``optim::lr``)
              result.json                        one JSON object a line and epoch
              checkpoint_000010/checkpoints      state dict after epoch 10
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.zoos.loading import load_weights, sentence
from mzsane.zoos.records import ModelRecord, Skipped

ARCHITECTURE = "mzsane::architecture"  # our key in params.json; published zoos have none
DESCRIPTIONS = ("params.json", "config.json")  # most published zoos, and those of transformers
_CHECKPOINT = re.compile(r"checkpoint_0*(\d+)$")  # published zoos pad the number, or do not


def write_params(trial: Path, params: Mapping[str, Any], architecture: Architecture) -> None:
    """Write hyper-parameters, and how to build the network."""
    document = {**params, ARCHITECTURE: architecture.to_json()}
    (trial / "params.json").write_text(json.dumps(document, indent=1))


def append_result(trial: Path, epoch: int, results: Mapping[str, float]) -> None:
    """Add the results of an epoch; 0 is the untrained network."""
    with (trial / "result.json").open("a") as file:
        file.write(json.dumps({"training_iteration": epoch, **results}) + "\n")


def write_checkpoint(trial: Path, epoch: int, state: Mapping[str, Tensor]) -> None:
    """Save a state dict where readers of published zoos look for it."""
    folder = trial / f"checkpoint_{epoch:06d}"
    folder.mkdir()
    # whatever order the axes have in memory while training, files keep the usual one
    torch.save({name: t.contiguous() for name, t in state.items()}, folder / "checkpoints")


def read_trials(
    folder: str | Path,
    epochs: Sequence[int] | None = None,
    architecture: Architecture | None = None,
) -> Iterator[ModelRecord | Skipped]:
    """Every checkpoint of a zoo, by trial and epoch; what cannot be read is reported in its place.

    A checkpoint is loaded when the iterator reaches it, without executing anything from it. Its
    results are those of the last line with its ``training_iteration``, never of a line's number:
    some zoos begin with epoch 0, others with 1, and continued trials repeat epochs.

    Args:
        folder: holds the trials.
        epochs: checkpoints to read; None reads all.
        architecture: of all models; None takes what each trial says of itself.

    Raises:
        FileNotFoundError: if the folder is missing or holds no trial.
        ValueError: if no trial has a checkpoint of these epochs.
    """
    trials = _find(Path(folder))
    there = {epoch for checkpoints in trials.values() for epoch in checkpoints}
    wanted = there if epochs is None else there.intersection(epochs)
    if not wanted:
        raise ValueError(
            f"{folder}: no trial has a checkpoint of epochs {sorted(epochs or [])}; choose from "
            f"{sorted(there)}"
        )
    return (
        member
        for trial, checkpoints in trials.items()
        for member in _read(trial, checkpoints, wanted, architecture)
    )


def _find(folder: Path) -> dict[Path, dict[int, Path]]:
    """Trials, sorted by name, with their checkpoints; hidden folders are none.

    What has only a description or only checkpoints is a trial, too, and reported as damaged.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give the one that holds the trials")
    visible = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    found = {trial: _checkpoints(trial) for trial in visible if trial.is_dir()}
    if any(checkpoints and _description(trial) for trial, checkpoints in found.items()):
        return {trial: those for trial, those in found.items() if those or _description(trial)}
    raise FileNotFoundError(
        f"{folder}: no folder in it has a {' or '.join(DESCRIPTIONS)} and checkpoint_*; give the "
        "folder that holds the trials"
    )


def _description(trial: Path) -> Path | None:
    """The file with the hyper-parameters."""
    return next((trial / name for name in DESCRIPTIONS if (trial / name).exists()), None)


def _checkpoints(trial: Path) -> dict[int, Path]:
    """Files with weights, by epoch."""
    found = ((_CHECKPOINT.match(path.name), path) for path in trial.iterdir())
    return {int(match[1]): path / "checkpoints" for match, path in found if match}


def _read(
    trial: Path,
    checkpoints: Mapping[int, Path],
    epochs: Set[int],
    architecture: Architecture | None,
) -> Iterator[ModelRecord | Skipped]:
    """One trial's checkpoints; without a readable description they are all left out."""
    if not checkpoints or not _description(trial):
        lacking = "checkpoint_*" if not checkpoints else " or ".join(DESCRIPTIONS)
        yield Skipped(str(trial), f"it has no {lacking}")
        return
    try:
        params = json.loads(_description(trial).read_text())
        results = _results(trial / "result.json")
        if architecture is None and ARCHITECTURE in params:
            architecture = Architecture.from_json(params[ARCHITECTURE])
        described = _scalars(params)
    except Exception as error:  # a file from elsewhere can be wrong in every way
        yield Skipped(str(trial), f"its description cannot be read: {sentence(error)}")
        return
    for epoch in sorted(epochs & checkpoints.keys()):
        path = checkpoints[epoch]
        properties = described | _scalars(results.get(epoch, {}))
        origin = {"zoo": str(trial.parent), "file": str(path)}
        yield ModelRecord(
            trial.name, epoch, partial(load_weights, path), properties, architecture, origin
        )


def _results(path: Path) -> dict[int, dict[str, Any]]:
    """Results by epoch, with the generalisation gap; half a last line (killed) is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    results = {}
    for number, line in enumerate(lines, start=1):
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            if number < len(lines):
                raise
            continue
        if {"train_acc", "test_acc"} <= result.keys():
            result["ggap"] = result["train_acc"] - result["test_acc"]
        results[int(result["training_iteration"])] = result
    return results


def _scalars(values: Mapping[str, Any]) -> dict[str, float | str]:
    """Numbers and words; lists, nested configurations and our own key are no properties."""
    return {
        key: value if isinstance(value, str) else float(value)
        for key, value in values.items()
        if isinstance(value, int | float | str) and key != ARCHITECTURE
    }
