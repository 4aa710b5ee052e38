"""Building a zoo: many models of one architecture on one image set."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from joblib import delayed
from safetensors.torch import load_file, save_file

from mzsane.architectures import Architecture
from mzsane.images import ImageSet, Split
from mzsane.populations import Recipe, running
from mzsane.progress import Progress, silent
from mzsane.zoos.training import Trial, train_trial

SETTINGS = "zoo.json"
IMAGES = ".images.safetensors"  # for the processes of a build, gone afterwards


@dataclass(frozen=True)
class Builder:
    """Trains what is missing of a zoo, one process a core and one thread each.

    Model `i` is a function of (seed, i) alone, so a zoo can grow: with a larger `num_models` the
    models that are there stay as they are, with a smaller one they stay, too. A trial's folder
    appears when its model is complete, so an interrupted build goes on where it was.

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
        arguments = dict(getattr(self.images, "keywords", {}))
        arguments.pop("cache", None)
        return {
            "images": getattr(self.images, "func", self.images).__name__,
            "images_arguments": arguments,
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
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"), _swept(folder):
            _claim(folder, self.settings)
            trials = [self._trial(index) for index in range(self.num_models)]
            missing = [trial for trial in trials if not (folder / trial.name).exists()]
            if missing:
                self._train(missing, folder, progress)

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
        f"{name}.{field}": tensor.contiguous()
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


@contextmanager
def _swept(folder: Path) -> Iterator[None]:
    """A folder without what a build leaves behind: before (when it was killed) and after."""
    try:
        _sweep(folder)
        yield
    finally:
        _sweep(folder)


def _sweep(folder: Path) -> None:
    for leftover in folder.glob(".trial_*"):
        shutil.rmtree(leftover)
    (folder / IMAGES).unlink(missing_ok=True)


def _claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Record what this zoo is, or compare with what was recorded; it may hold any number."""
    path, wanted = folder / SETTINGS, _flat({**settings, "num_models": None})
    if path.exists():
        found = json.loads(path.read_text())
        if differing := [key for key in wanted | found if found.get(key) != wanted.get(key)]:
            key = differing[0]
            raise ValueError(
                f"{folder} holds a zoo built with {key}={found.get(key)}, asked for "
                f"{wanted.get(key)}; give another zoo_dir, or remove the folder to build it anew"
            )
        return
    if any(folder.glob("*/params.json")):
        raise ValueError(
            f"{folder} holds trials but no {SETTINGS}, so it was not built here; give another "
            "zoo_dir, or set zoo.build=false to use them as they are"
        )
    partial = folder / f".{SETTINGS}"
    partial.write_text(json.dumps(wanted, indent=1))
    partial.rename(path)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of settings under dotted names, so that a difference can be named."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": deep for inner, deep in _flat(value).items()}
        elif value is not None:
            flat[key] = value
    return flat
