"""Building a zoo: many models of one architecture on one image set."""

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from joblib import delayed
from safetensors.torch import load_file, save_file

from mzsane.architectures import Architecture
from mzsane.images import ImageSet, Split
from mzsane.populations import Recipe, running
from mzsane.progress import Progress, silent
from mzsane.zoos.claiming import IMAGES, claim, is_claimed, locked, swept
from mzsane.zoos.training import Trial, train_trial


@dataclass(frozen=True)
class Builder:
    """Trains what is missing of a zoo, one process a core and one thread each.

    Model `i` is a function of (seed, image set, i) alone, so a zoo can grow: with a larger
    `num_models` the models that are there stay as they are, with a smaller one they stay, too. A
    trial's folder appears when its model is complete, so an interrupted build goes on where it was.

    Args:
        folder: of the zoo.
        images: loads the image set.
        architecture: of all models.
        num_models: how many.
        recipe: how each is trained.
        checkpoint_epochs: after which epochs weights are kept; 0 is before training.
        seed: of the zoo.
        workers: processes; -1 takes every core.

    Raises:
        ValueError: if an epoch to be kept is beyond the recipe's, or there is none.
    """

    folder: str | Path
    images: Callable[[], ImageSet]
    architecture: Architecture
    num_models: int
    recipe: Recipe
    checkpoint_epochs: Sequence[int]
    seed: int = 0
    workers: int = -1

    def __post_init__(self) -> None:
        """Refuse epochs that training never reaches."""
        epochs = set(self.checkpoint_epochs)
        if not epochs or not epochs <= set(range(self.recipe.epochs + 1)):
            raise ValueError(
                f"checkpoint_epochs={sorted(epochs)}: name one or more of the epochs 0 to "
                f"{self.recipe.epochs} that recipe.epochs allows"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the zoo's content, as plain values; where images are cached does not."""
        images = getattr(self.images, "func", self.images)
        # signature applies what a partial adds; defaults count, or a changed one would go unseen
        parameters = inspect.signature(self.images).parameters
        return {
            "images": images.__name__,
            "images_arguments": {k: p.default for k, p in parameters.items() if k != "cache"},
            "architecture": json.loads(self.architecture.to_json()),
            "recipe": asdict(self.recipe),
            "checkpoint_epochs": sorted(self.checkpoint_epochs),
            "seed": self.seed,
            "num_models": self.num_models,
        }

    def build(self, progress: Progress = silent) -> None:
        """Train the models that are missing.

        Ctrl-C ends the processes and leaves whole trials. Of several builds of one folder at the
        same time, one works and the others wait for it.

        Args:
            progress: is told how many of the missing models are done.

        Raises:
            ValueError: if the folder holds a zoo that was built otherwise, or not by this class.
        """
        folder = Path(self.folder)
        if is_claimed(folder, self.settings) and not self._missing(folder):
            return  # without writing anything: the folder may be someone else's
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder, progress), swept(folder):
            if not is_claimed(folder, self.settings):
                claim(folder, self.settings)
            if missing := self._missing(folder):
                self._train(missing, folder, progress)

    def _missing(self, folder: Path) -> list[Trial]:
        trials = (self._trial(index) for index in range(self.num_models))
        return [trial for trial in trials if not (folder / trial.name).exists()]

    def _trial(self, index: int) -> Trial:
        return Trial(
            architecture=self.architecture,
            recipe=self.recipe,
            checkpoint_epochs=tuple(self.checkpoint_epochs),
            seed=self.seed,
            index=index,
            images=self.settings["images"],
        )

    def _train(self, trials: Sequence[Trial], folder: Path, progress: Progress) -> None:
        """Train these, in any order."""
        _share(self.images(), folder / IMAGES)
        stage = f"training {folder.name}"
        progress(stage, 0, len(trials))
        tasks = (delayed(_train_one)(trial, folder) for trial in trials)
        with running(tasks, self.workers, ordered=False) as finished:
            for done, _ in enumerate(finished, start=1):
                progress(stage, done, len(trials))


def _share(images: ImageSet, path: Path) -> None:
    """Write the images to a file, which all processes map into their memory."""
    splits = {"train": images.train, "val": images.validation, "test": images.test}
    tensors = {
        # copies, because splits may share memory, and safetensors may not
        f"{name}.{field}": tensor.clone(memory_format=torch.contiguous_format)
        for name, split in splits.items()
        for field, tensor in split._asdict().items()
    }
    save_file(tensors, path)


def _train_one(trial: Trial, folder: Path) -> None:
    """One model, on the images that `_share` wrote."""
    tensors = load_file(folder / IMAGES)
    names = ("train", "val", "test")
    splits = {
        name: Split(*(tensors[f"{name}.{field}"] for field in Split._fields)) for name in names
    }
    train_trial(trial, splits, folder)
