"""One model of a zoo: trained, measured, and left as a trial folder."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mzsane.architectures import Architecture
from mzsane.images import Split
from mzsane.populations import Recipe, fit, one_thread, score
from mzsane.zoos.trials import append_result, write_checkpoint, write_params

MODELS = 4  # purpose of the random draw, see docs/design.md


@dataclass(frozen=True)
class Trial:
    """What decides the content of a trial folder, besides the images.

    Args:
        architecture: of the network.
        recipe: how it is trained.
        checkpoint_epochs: after which epochs weights are kept; 0 is before training.
        seed: of the zoo; with `images` and `index` it decides initial weights and order of images.
        index: of the model in the zoo.
        images: name of the image set; zoos of one seed on other images start from other weights.
    """

    architecture: Architecture
    recipe: Recipe
    checkpoint_epochs: Sequence[int]
    seed: int
    index: int
    images: str

    @property
    def name(self) -> str:
        """Of the folder, and so of the model."""
        return f"trial_{self.index:05d}"

    @property
    def model_seed(self) -> int:
        """The model's own seed, which does not depend on how many models there are."""
        images = int.from_bytes(self.images.encode(), "little")
        sequence = np.random.SeedSequence([self.seed, MODELS, images, self.index])
        return int(sequence.generate_state(1)[0])


def train_trial(trial: Trial, splits: Mapping[str, Split], folder: Path) -> None:
    """Train one model with one thread; its folder appears when it is complete.

    Epochs that are kept are measured, too: on the validation split, the test split, and as many of
    the first training images as there are test images.

    Args:
        trial: what to train.
        splits: by name: ``train``, ``val`` and ``test``.
        folder: of the zoo.
    """
    # a name of its own, because processes may outlive a build that was killed
    partial = folder / f".{trial.name}.{os.getpid()}"
    partial.mkdir()
    write_params(partial, _params(trial), trial.architecture)
    network = trial.architecture.build(trial.model_seed)
    seen = Split(*(tensor[: len(splits["test"].labels)] for tensor in splits["train"]))
    measured = {**splits, "train": seen}

    def after_epoch(epoch: int) -> None:
        if epoch not in trial.checkpoint_epochs:
            return
        results = {}
        for name, split in measured.items():
            outcome = score(network, split)
            results[f"{name}_loss"] = outcome.loss.item()
            results[f"{name}_acc"] = outcome.accuracy.item()
        append_result(partial, epoch, results)
        write_checkpoint(partial, epoch, network.state_dict())

    with one_thread():
        fit(network, splits["train"], trial.recipe, trial.model_seed, after_epoch)
    _publish(partial, folder / trial.name)


def _publish(partial: Path, trial: Path) -> None:
    """Give a finished trial its name; if one of a killed build has it by now, it is the same."""
    try:
        partial.rename(trial)
    except OSError:
        if not trial.exists():
            raise
        shutil.rmtree(partial)


def _params(trial: Trial) -> dict[str, Any]:
    """Hyper-parameters under the names of the published zoos."""
    recipe, arguments = trial.recipe, trial.architecture.arguments
    return {
        "model::type": trial.architecture.target.rpartition(".")[2],
        "model::channels_in": trial.architecture.input_shape[0],
        "model::o_dim": trial.architecture.classes,
        "model::nlin": arguments.get("nonlinearity", ""),
        "model::dropout": arguments.get("dropout", 0.0),
        "model::init_type": arguments.get("initialisation", ""),
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
