"""Trial folders, the layout of the published zoos: one folder a model, one checkpoint an epoch.

<zoo>/<trial>/params.json                        hyper-parameters, flat (``optim::lr``)
              result.json                        one JSON object a line and epoch
              checkpoint_000010/checkpoints      state dict after epoch 10
"""

import json
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.zoos.records import ModelRecord, Skipped

ARCHITECTURE = "mzsane::architecture"  # our key in params.json; published zoos have none

_CHECKPOINT = re.compile(r"checkpoint_0*(\d+)$")


def write_checkpoint(trial: Path, epoch: int, state: Mapping[str, Tensor]) -> None:
    """Save a state dict where readers of published zoos look for it."""
    folder = trial / f"checkpoint_{epoch:06d}"
    folder.mkdir()
    torch.save(dict(state), folder / "checkpoints")


def read_trials(
    folder: str | Path,
    epochs: Sequence[int] | None = None,
    architecture: Architecture | None = None,
) -> Iterator[ModelRecord | Skipped]:
    """Every checkpoint of a zoo, by trial and epoch; what cannot be read is reported in its place.

    Nothing is loaded before it is asked for. Results are matched to checkpoints by their
    ``training_iteration``, of which the last line counts.

    Args:
        folder: holds the trials.
        epochs: checkpoints to read; None reads all.
        architecture: of all models; None takes what each trial says of itself.

    Raises:
        FileNotFoundError: if the folder is missing or holds no trial.
        ValueError: if no trial has a checkpoint of the epochs.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give the one that holds the trials")
    trials = {trial: _checkpoints(trial) for trial in sorted(folder.iterdir()) if _is_trial(trial)}
    if not trials:
        raise FileNotFoundError(
            f"{folder}: no trial in it, that is, no folder with params.json and checkpoint_*; "
            "give the folder that holds the trials"
        )
    there = {epoch for checkpoints in trials.values() for epoch in checkpoints}
    if epochs is not None and there.isdisjoint(epochs):
        raise ValueError(
            f"{folder}: no checkpoints of epochs {sorted(epochs)}; there are {sorted(there)}"
        )
    for trial, checkpoints in trials.items():
        wanted = sorted(there if epochs is None else there.intersection(epochs))
        chosen = {epoch: checkpoints[epoch] for epoch in wanted if epoch in checkpoints}
        yield from _read_trial(trial, chosen, architecture)


def _is_trial(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and (path / "params.json").exists()


def _checkpoints(trial: Path) -> dict[int, Path]:
    found = ((_CHECKPOINT.match(path.name), path) for path in trial.iterdir())
    return {int(match[1]): path / "checkpoints" for match, path in found if match}


def _read_trial(
    trial: Path, checkpoints: Mapping[int, Path], architecture: Architecture | None
) -> Iterator[ModelRecord | Skipped]:
    try:
        params = json.loads((trial / "params.json").read_text())
        results = _results(trial / "result.json")
        if architecture is None and ARCHITECTURE in params:
            architecture = Architecture.from_json(params[ARCHITECTURE])
    except (OSError, ValueError) as error:
        yield Skipped(str(trial), f"its description cannot be read: {error}")
        return
    for epoch, path in checkpoints.items():
        try:
            state = _load(path)
        except (OSError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            yield Skipped(str(path), f"cannot be loaded: {_first_line(error)}")
            continue
        yield ModelRecord(
            model=trial.name,
            epoch=epoch,
            state=state,
            properties=_scalars(params) | _scalars(results.get(epoch, {})),
            architecture=architecture,
            provenance={"file": str(path)},
        )


def _load(path: Path) -> dict[str, Tensor]:
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise ValueError("it is no state dict, that is, no mapping from names to tensors")
    return dict(state)


def _results(path: Path) -> dict[int, dict[str, Any]]:
    """Results by epoch; a last line cut off by a killed run is left out."""
    lines = path.read_text().splitlines() if path.exists() else []
    results = {}
    for number, line in enumerate(lines):
        try:
            result = json.loads(line)
        except json.JSONDecodeError:
            if number < len(lines) - 1:
                raise
            continue
        results[int(result["training_iteration"])] = _with_gap(result)
    return results


def _with_gap(result: dict[str, Any]) -> dict[str, Any]:
    if "train_acc" in result and "test_acc" in result:
        result["ggap"] = result["train_acc"] - result["test_acc"]
    return result


def _scalars(values: Mapping[str, Any]) -> dict[str, float | str]:
    return {
        key: value if isinstance(value, str) else float(value)
        for key, value in values.items()
        if isinstance(value, int | float | str) and key != ARCHITECTURE
    }


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
