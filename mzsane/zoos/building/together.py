"""Models of a zoo trained many at once, vectorised: the way of a GPU."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import torch

from mzsane.images import Split
from mzsane.populations import JointTraining, Population, most_together
from mzsane.zoos.building.training import Splits, Trial, begin_trial, finish, recorded
from mzsane.zoos.building.unfinished import Unfinished

Begun = tuple[Trial, Unfinished]


def train_together(
    trials: Sequence[Trial], splits: Splits, zoo: Path, device: torch.device
) -> Iterator[int]:
    """Train models in chunks of one architecture that fit into memory.

    Args:
        trials: what to train.
        splits: by name: ``train``, ``val`` and ``test``.
        zoo: its folder.
        device: where to train.

    Yields:
        How many models are done.
    """
    placed = {name: Split(*(t.to(device) for t in split)) for name, split in splits.items()}
    done = 0
    for chunk in _chunks([(trial, begin_trial(trial, zoo)) for trial in trials], splits, device):
        _train(chunk, placed, zoo, device)
        done += len(chunk)
        yield done


def _chunks(begun: list[Begun], splits: Splits, device: torch.device) -> Iterator[list[Begun]]:
    """Trials that can be trained at once: one architecture and schedule, from the same epoch."""
    for _, group in groupby(sorted(begun, key=_kind), _kind):
        alike = list(group)
        trial = alike[0][0]
        batch = splits["train"].images[: trial.recipe.batch_size]
        size = most_together(trial.architecture.build().eval(), batch, device)
        for first in range(0, len(alike), size):
            yield alike[first : first + size]


def _kind(begun: Begun) -> tuple[str | int, ...]:
    """What has to be the same in one chunk; learning rate, decay, momentum and beginning do not."""
    trial, unfinished = begun
    recipe = trial.recipe
    epoch = unfinished.state["epoch"] if unfinished.state else 0
    alike = (recipe.optimizer, recipe.scheduler, recipe.batch_size, recipe.epochs)
    return (recorded(trial.architecture).fingerprint, *alike, epoch)


def _train(chunk: Sequence[Begun], splits: Splits, zoo: Path, device: torch.device) -> None:
    """One chunk, to the end."""
    trials, begun = [trial for trial, _ in chunk], [unfinished for _, unfinished in chunk]
    states = [trial.architecture.build(trial.model_seed).state_dict() for trial in trials]
    population = Population.from_states(recorded(trials[0].architecture), states).to(device)
    training = JointTraining(
        population, splits["train"], [t.recipe for t in trials], [t.model_seed for t in trials]
    )
    finish(trials, begun, training, splits, zoo)
