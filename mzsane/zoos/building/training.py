"""Models of a zoo: trained, measured, and left as trial folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from mzsane.architectures import Architecture
from mzsane.images import Split
from mzsane.populations import JointTraining, Recipe, Training
from mzsane.processes import one_thread
from mzsane.zoos.building.unfinished import Unfinished, begin, keep, publish
from mzsane.zoos.reading.trials import append_result, write_checkpoint, write_params

MODELS = 4  # purpose of the random draw, see docs/design.md
KEEPING = 60.0  # seconds between states that are kept, so short trainings leave none
# published readers know this network by another spelling
PUBLISHED_TYPES = {"ResNet18": "Resnet18"}
PUBLISHED_NAMES = {"nonlinearity": "nlin", "initialisation": "init_type", "classes": "o_dim"}

Splits = Mapping[str, Split]


@dataclass(frozen=True)
class Trial:
    """What decides the content of a trial folder, besides the images.

    Args:
        architecture: of the network.
        recipe: how it is trained.
        checkpoint_epochs: after which epochs weights are kept; 0 is before training.
        index: of the model in the zoo.
        model_seed: decides initial weights, order of images and dropout.
        images: name of the image set.
        measure_every: epochs between results; the last and those that are kept have them, too.
    """

    architecture: Architecture
    recipe: Recipe
    checkpoint_epochs: Sequence[int]
    index: int
    model_seed: int
    images: str
    measure_every: int = 1

    @property
    def name(self) -> str:
        """Of the folder, and so of the model."""
        return f"trial_{self.index:05d}"


def model_seed(seed: int, images: str, number: int) -> int:
    """A model's own seed, which does not depend on how many models there are.

    Args:
        seed: of the zoo.
        images: name of the image set; zoos of one seed on other images start from other weights.
        number: of the model, or of the repetition where models share seeds.
    """
    key = [seed, MODELS, int.from_bytes(images.encode(), "little"), number]
    return int(np.random.SeedSequence(key).generate_state(1)[0])


def train_trial(trial: Trial, splits: Splits, zoo: Path) -> None:
    """Train one model with one thread; its folder appears when it is complete.

    Results are those on the validation split, the test split, and as many of the first training
    images as there are test images.

    Args:
        trial: what to train; where an interrupted build left a state, training goes on from it.
        splits: by name: ``train``, ``val`` and ``test``.
        zoo: its folder.
    """
    begun = begin_trial(trial, zoo)
    network = trial.architecture.build(trial.model_seed)
    with one_thread():
        training = Training(network, splits["train"], trial.recipe, trial.model_seed)
        finish([trial], [begun], training, splits, zoo)


def begin_trial(trial: Trial, zoo: Path) -> Unfinished:
    """The trial's hidden folder, with its hyper-parameters."""
    begun = begin(zoo, trial.name)
    write_params(begun.folder, params(trial), recorded(trial.architecture))
    return begun


def finish(
    trials: Sequence[Trial],
    begun: Sequence[Unfinished],
    training: Training | JointTraining,
    splits: Splits,
    zoo: Path,
) -> None:
    """Train to the end from where they are, and publish them.

    Args:
        trials: of the same epochs, kept and measured alike.
        begun: their folders, and states after the same epoch.
        training: of the networks, at their beginning.
        splits: see `train_trial`.
        zoo: its folder.
    """
    folders = [each.folder for each in begun]
    seen = Split(*(tensor[: len(splits["test"].labels)] for tensor in splits["train"]))
    measured = {**splits, "train": seen}
    if begun[0].state is None:
        _record(trials[0], training, measured, folders)
    else:
        training.resume([each.state for each in begun])
    kept = monotonic()
    while training.epoch < trials[0].recipe.epochs:
        training.advance()
        _record(trials[0], training, measured, folders)
        if monotonic() - kept > KEEPING:
            for folder, state in zip(folders, training.states(), strict=True):
                keep(folder, state)
            kept = monotonic()
    for trial, folder in zip(trials, folders, strict=True):
        publish(folder, zoo / trial.name)


def _record(
    trial: Trial, training: Training | JointTraining, measured: Splits, folders: Sequence[Path]
) -> None:
    """Results and weights of the epoch, for all folders, if the trial wants them."""
    epoch = training.epoch
    kept = epoch in trial.checkpoint_epochs
    if kept or epoch % trial.measure_every == 0 or epoch == trial.recipe.epochs:
        for folder, results in zip(folders, _results(training, measured), strict=True):
            append_result(folder, epoch, results)
    if kept:
        for folder, weights in zip(folders, training.weights(), strict=True):
            write_checkpoint(folder, epoch, weights)


def _results(training: Training | JointTraining, measured: Splits) -> list[dict[str, float]]:
    """Losses, accuracies and generalisation gap of every model, by published names."""
    columns = {}
    for name, split in measured.items():
        outcome = training.score(split)
        columns[f"{name}_loss"] = outcome.loss.tolist()
        columns[f"{name}_acc"] = outcome.accuracy.tolist()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return [row | {"ggap": row["train_acc"] - row["test_acc"]} for row in rows]


def recorded(architecture: Architecture) -> Architecture:
    """Without how its weights began, which decides neither shapes nor what the network computes.

    Models that began otherwise can so share a shelf of a store, and be trained at once.
    """
    kept = {k: v for k, v in architecture.arguments.items() if k != "initialisation"}
    return replace(architecture, arguments=kept)


def params(trial: Trial) -> dict[str, Any]:
    """Hyper-parameters under the names of the published zoos."""
    recipe, network = trial.recipe, trial.architecture.target.rpartition(".")[2]
    settings = {
        f"model::{PUBLISHED_NAMES.get(key, key)}": value
        for key, value in trial.architecture.settings.items()
    }
    shape = trial.architecture.input_shape
    return settings | {
        "model::type": PUBLISHED_TYPES.get(network, network),
        "model::channels_in": shape[0],
        "model::o_dim": trial.architecture.classes,
        "optim::optimizer": recipe.optimizer,
        "optim::lr": recipe.lr,
        "optim::wd": recipe.weight_decay,
        "optim::momentum": recipe.momentum,
        "optim::scheduler": recipe.scheduler,
        "training::batchsize": recipe.batch_size,
        "training::epochs_train": recipe.epochs,
        "dataset::name": trial.images,
        "seed": trial.model_seed,
    }
