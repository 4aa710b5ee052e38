"""Models of a zoo trained one process a core and one thread each: the way of a CPU."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from joblib import delayed
from safetensors.torch import load_file, save_file

from mzsane.images import Split
from mzsane.processes import running
from mzsane.zoos.building.training import Splits, Trial, train_trial

IMAGES = ".images.safetensors"  # for the processes of a build, which sweeps it away afterwards


def train_apart(trials: Sequence[Trial], splits: Splits, zoo: Path, workers: int) -> Iterator[int]:
    """Train models in any order; to close the iterator ends the processes at once.

    Args:
        trials: what to train.
        splits: by name: ``train``, ``val`` and ``test``.
        zoo: its folder.
        workers: processes; 1 works in this one, -1 takes every core.

    Yields:
        How many models are done.
    """
    _share(splits, zoo / IMAGES)
    tasks = (delayed(_train_one)(trial, zoo) for trial in trials)
    with running(tasks, workers, ordered=False) as finished:
        for done, _ in enumerate(finished, start=1):
            yield done


def _share(splits: Splits, path: Path) -> None:
    """Write the images to a file, which all processes map into their memory."""
    tensors = {
        # copies, because splits may share memory, and safetensors may not
        f"{name}.{field}": tensor.clone(memory_format=torch.contiguous_format)
        for name, split in splits.items()
        for field, tensor in split._asdict().items()
    }
    save_file(tensors, path)


def _train_one(trial: Trial, zoo: Path) -> None:
    """One model, on the images that `_share` wrote."""
    tensors = load_file(zoo / IMAGES)
    names = ("train", "val", "test")
    splits = {
        name: Split(*(tensors[f"{name}.{field}"] for field in Split._fields)) for name in names
    }
    train_trial(trial, splits, zoo)
