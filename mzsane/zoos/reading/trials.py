"""Trial folders, the layout of the published zoos: one folder a model, one checkpoint an epoch.

<zoo>/<trial>/params.json or config.json         hyper-parameters, flat (``optim::lr``)
              result.json                        one JSON object a line and epoch
              checkpoint_000010/checkpoints      state dict after epoch 10
"""

import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.zoos.reading.finding import TrialFolder, find_trials, weights_file
from mzsane.zoos.reading.loading import load_weights, sentence
from mzsane.zoos.reading.results import (
    DESCRIPTIONS,
    Results,
    in_percent,
    read_params,
    read_results,
    scalars,
    shares,
    with_gap,
)
from mzsane.zoos.reading.trees import Tree, stamp
from mzsane.zoos.records import ModelRecord, Skipped

ARCHITECTURE = "mzsane::architecture"  # our key in params.json; published zoos have none
_JUDGED = 10  # trials that tell whether a zoo gives accuracies in percent


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
    # whatever order the axes have in memory while training, files keep the usual one
    plain = OrderedDict((name, tensor.contiguous()) for name, tensor in state.items())
    folder = trial / f"checkpoint_{epoch:06d}"
    folder.mkdir()
    torch.save(plain, folder / "checkpoints")


def read_trials(
    folder: str | Tree,
    epochs: Sequence[int] | None = None,
    architecture: Architecture | None = None,
    trust_pickle: bool = False,
) -> Iterator[ModelRecord | Skipped]:
    """Every checkpoint of a zoo, by trial and epoch; what cannot be read is reported in its place.

    A folder with a description and checkpoints is a trial, wherever below `folder` it lies: zoos
    can be nested, or unpacked deeper than meant. Beside trials, what has only one of the two is
    reported as damaged. Accuracies become shares of one: trials in one folder are in percent if
    any accuracy of the first ten exceeds 1. `read_results` says which belong to which epoch.

    Args:
        folder: holds the trials, or folders that do, or is one; models are called by their path
            in it.
        epochs: checkpoints to read, by number; None reads all.
        architecture: of all models; None takes what each trial says of itself.
        trust_pickle: see `load_weights`.

    Raises:
        FileNotFoundError: if the folder is missing or holds no trial.
        ValueError: if no trial has a checkpoint of these epochs.
    """
    folder = Path(folder) if isinstance(folder, str) else folder
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give the one that holds the trials")
    return read_found(folder, find_trials(folder), epochs, architecture, trust_pickle)


def read_found(
    folder: Tree,
    trials: Sequence[TrialFolder],
    epochs: Sequence[int] | None = None,
    architecture: Architecture | None = None,
    trust_pickle: bool = False,
) -> Iterator[ModelRecord | Skipped]:
    """`read_trials`, of trials that have been found in the folder already."""
    if not trials:
        raise FileNotFoundError(
            f"{folder}: no folder in it has a {' or '.join(DESCRIPTIONS)} and checkpoint_*; give "
            "the folder that holds the trials"
        )
    there = {epoch for trial in trials for epoch in trial.checkpoints}
    wanted = there if epochs is None else there.intersection(epochs)
    if not wanted:
        raise ValueError(
            f"{folder}: no trial has a checkpoint of epochs {sorted(epochs or [])}; choose from "
            f"{sorted(there)}"
        )
    return _read_all(trials, wanted, architecture, trust_pickle)


def _read_all(
    trials: Sequence[TrialFolder],
    epochs: Set[int],
    architecture: Architecture | None,
    trust_pickle: bool,
) -> Iterator[ModelRecord | Skipped]:
    zoos = defaultdict(list)
    for trial in trials:
        zoos[trial.folder.parent].append(trial)
    percent = cache(lambda zoo: in_percent(islice(_readable_results(zoos[zoo]), _JUDGED)))
    for trial in trials:
        load = partial(load_weights, trust_pickle=trust_pickle)
        yield from _read(trial, epochs, architecture, load, percent)


def _readable_results(trials: Sequence[TrialFolder]) -> Iterator[Results]:
    """Those of trials that have any; damaged ones are reported when their turn comes."""
    for trial in trials:
        with suppress(ValueError, OSError):
            if results := read_results(trial.folder):
                yield results


def _read(
    trial: TrialFolder,
    epochs: Set[int],
    architecture: Architecture | None,
    load: Callable[[Tree], dict[str, Tensor]],
    percent: Callable[[Tree], bool],
) -> Iterator[ModelRecord | Skipped]:
    """One trial's checkpoints; without a readable description they are all left out."""
    if not trial.whole:
        lacking = " or ".join(DESCRIPTIONS) if trial.checkpoints else "checkpoint_*"
        yield Skipped(str(trial.folder), f"it has no {lacking}")
        return
    try:
        params, results = read_params(trial.description), read_results(trial.folder)
        if architecture is None and ARCHITECTURE in params:
            architecture = Architecture.from_json(params[ARCHITECTURE])
    except Exception as error:  # a file from elsewhere can be wrong in every way
        yield Skipped(str(trial.folder), f"its description cannot be read: {sentence(error)}")
        return
    described = _described(params)
    for epoch in sorted(epochs & trial.checkpoints.keys()):
        file = weights_file(trial.checkpoints[epoch])
        if file is None:
            yield Skipped(str(trial.checkpoints[epoch]), "it holds no file called checkpoints")
            continue
        properties = described | results.get(epoch, {})
        if percent(trial.folder.parent):
            properties = shares(properties)
        yield ModelRecord(
            model=trial.name,
            epoch=epoch,
            load=partial(load, file),
            properties=with_gap(properties),
            architecture=architecture,
            provenance={"zoo": str(trial.folder.parent), "file": str(file)},
            stamp=stamp(file),
        )


def _described(params: Mapping[str, Any]) -> dict[str, float | str]:
    """Hyper-parameters as properties; `load_weights` folds what variational dropout learnt."""
    described = scalars({key: value for key, value in params.items() if key != ARCHITECTURE})
    if str(params.get("model::type", "")).endswith("_ARD"):
        described["folded::log_sigma2"] = 1.0
    return described
