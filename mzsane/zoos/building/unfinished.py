"""Trials in the making: hidden folders that get their name when they are complete.

A long training leaves its state in its folder from time to time. The next build takes the folder
over, by renaming it: a process that outlived a killed build then writes into the void.
"""

import os
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import torch

from mzsane.files import replacing

RESULTS = "result.json"
STATE = "training.pt"


class Unfinished(NamedTuple):
    """A trial in the making.

    Attributes:
        folder: hidden, and of this process alone.
        state: from which training goes on; None at its beginning.
    """

    folder: Path
    state: dict[str, Any] | None


def begin(zoo: Path, name: str) -> Unfinished:
    """A folder for a trial: with the furthest state that a build left behind, or a new one.

    What was written after that state is taken back.
    """
    folder = zoo / f".{name}.{os.getpid()}"
    left = [(_load(path), path) for path in zoo.glob(f".{name}.*") if (path / STATE).exists()]
    if not left:
        folder.mkdir()
        return Unfinished(folder, None)
    state, found = max(left, key=lambda pair: pair[0]["epoch"])
    found.rename(folder)
    os.truncate(folder / RESULTS, state["results"])
    for checkpoint in folder.glob("checkpoint_*"):
        if int(checkpoint.name.rpartition("_")[2]) > state["epoch"]:
            shutil.rmtree(checkpoint)
    return Unfinished(folder, state)


def keep(folder: Path, state: dict[str, Any]) -> None:
    """Leave a state from which training can go on, in place of an earlier one."""
    with replacing(folder / STATE) as partial:
        torch.save({**state, "results": (folder / RESULTS).stat().st_size}, partial)


def publish(folder: Path, trial: Path) -> None:
    """Give a finished trial its name; if one of a killed build has it by now, it is the same."""
    (folder / STATE).unlink(missing_ok=True)
    try:
        folder.rename(trial)
    except OSError:
        if not trial.exists():
            raise
        shutil.rmtree(folder)


def sweep(zoo: Path) -> None:
    """Remove trials in the making that have no state, or that are complete under their name."""
    for leftover in zoo.glob(".trial_*"):
        complete = (zoo / leftover.name[1:].partition(".")[0]).exists()
        if complete or not (leftover / STATE).exists():
            # a process that outlives a killed build may write meanwhile; readers see neither
            shutil.rmtree(leftover, ignore_errors=True)


def _load(folder: Path) -> dict[str, Any]:
    try:
        return torch.load(folder / STATE, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises nearly anything for a damaged file
        raise ValueError(
            f"{folder / STATE} cannot be read; remove {folder} to train this model anew"
        ) from error
