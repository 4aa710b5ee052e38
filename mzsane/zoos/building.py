"""Training a zoo: many models of one architecture on one image set."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

from mzsane.architectures import Architecture
from mzsane.images import ImageSet, Split
from mzsane.populations import Recipe, fit
from mzsane.progress import Progress, silent
from mzsane.zoos.trials import ARCHITECTURE, write_checkpoint

SETTINGS = "zoo.json"
MODELS = 4  # purpose of the random draw, see docs/design.md


@dataclass(frozen=True)
class Builder:
    """Trains what is missing of a zoo, one process a core and one thread each.

    Model `i` is a function of (seed, i) alone, so a zoo can grow: with a larger `num_models` the
    models that are there stay as they are. A trial's folder appears when its model is complete.

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
        if not self.checkpoint_epochs or not set(self.checkpoint_epochs) <= set(
            range(self.recipe.epochs + 1)
        ):
            raise ValueError(
                f"checkpoint_epochs={list(self.checkpoint_epochs)}: name one or more of the "
                f"epochs 0 to {self.recipe.epochs}"
            )

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the zoo's content, as plain values."""
        images = getattr(self.images, "func", self.images)
        keywords = getattr(self.images, "keywords", {})
        return {
            "images": images.__name__,
            "images_arguments": {k: v for k, v in keywords.items() if k != "cache"},
            "architecture": self.architecture.fingerprint,
            "recipe": asdict(self.recipe),
            "checkpoint_epochs": sorted(self.checkpoint_epochs),
            "seed": self.seed,
            "num_models": self.num_models,
        }

    def build(self, progress: Progress = silent) -> None:
        """Train the models that are missing.

        Args:
            progress: is told how many of them are done.

        Raises:
            ValueError: if the folder holds a zoo that was built otherwise.
        """
        folder = Path(self.folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._claim(folder)
        for leftover in folder.glob(".trial_*"):  # of a run that was killed
            shutil.rmtree(leftover)
        missing = [i for i in range(self.num_models) if not (folder / trial_name(i)).exists()]
        if not missing:
            return
        images = self.images()
        splits = (images.train, images.validation, images.test)
        # arrays, because joblib maps large ones into the workers' memory instead of copying them
        arrays = [tensor.numpy() for split in splits for tensor in split]
        progress(f"training {folder.name}", 0, len(missing))
        finished = Parallel(self.workers, return_as="generator_unordered", batch_size=1)(
            delayed(_train)(self, index, arrays) for index in missing
        )
        for done, _ in enumerate(finished, start=1):
            progress(f"training {folder.name}", done, len(missing))

    def _claim(self, folder: Path) -> None:
        """Record what this zoo is, or compare with what was recorded."""
        path, wanted = folder / SETTINGS, dict(self.settings)
        del wanted["num_models"]
        if path.exists():
            found = json.loads(path.read_text())
            differing = [key for key in wanted if found.get(key) != wanted[key]]
            if differing:
                key = differing[0]
                raise ValueError(
                    f"{folder} holds a zoo built with {key}={found.get(key)}, asked for "
                    f"{wanted[key]}; give another zoo_dir, or remove the folder"
                )
            return
        partial = folder / f".{SETTINGS}.{os.getpid()}"
        partial.write_text(json.dumps(wanted, indent=1))
        partial.rename(path)


def trial_name(index: int) -> str:
    """Folder, and so the name, of a zoo's model."""
    return f"trial_{index:05d}"


def _train(builder: Builder, index: int, arrays: Sequence[np.ndarray]) -> None:
    """One model into one trial folder."""
    torch.set_num_threads(1)
    tensors = [torch.tensor(array) for array in arrays]  # joblib's maps are read-only
    train, validation, test = (Split(*tensors[at : at + 2]) for at in (0, 2, 4))
    seed = int(np.random.SeedSequence([builder.seed, MODELS, index]).generate_state(1)[0])
    network = builder.architecture.build(seed)
    folder = Path(builder.folder)
    partial = folder / f".{trial_name(index)}"
    partial.mkdir()
    (partial / "params.json").write_text(json.dumps(_params(builder, seed), indent=1))
    results = []

    def after_epoch(epoch: int, loss: float) -> None:
        kept = epoch in builder.checkpoint_epochs
        if kept:
            write_checkpoint(partial, epoch, network.state_dict())
        if kept or epoch == builder.recipe.epochs:
            splits = {"train": train, "val": validation, "test": test}
            results.append({"training_iteration": epoch, **_measure(network, splits)})

    fit(network, train, builder.recipe, seed, after_epoch)
    (partial / "result.json").write_text("".join(json.dumps(line) + "\n" for line in results))
    partial.rename(folder / trial_name(index))


@torch.no_grad()
def _measure(network: torch.nn.Module, splits: dict[str, Split]) -> dict[str, float]:
    """Mean cross-entropy in nats and accuracy in [0, 1] of each split."""
    network.eval()
    measured = {}
    for name, split in splits.items():
        logits = torch.cat([network(batch) for batch in split.images.split(250)])
        measured[f"{name}_loss"] = torch.nn.functional.cross_entropy(logits, split.labels).item()
        measured[f"{name}_acc"] = (logits.argmax(1) == split.labels).float().mean().item()
    return measured


def _params(builder: Builder, seed: int) -> dict[str, Any]:
    """Hyper-parameters under the names of the published zoos."""
    recipe, arguments = builder.recipe, builder.architecture.arguments
    return {
        "model::type": builder.architecture.target.rpartition(".")[2],
        "model::nlin": arguments.get("nonlinearity", ""),
        "model::dropout": arguments.get("dropout", 0.0),
        "model::init_type": arguments.get("initialisation", ""),
        "model::channels_in": builder.architecture.input_shape[0],
        "model::o_dim": builder.architecture.classes,
        "optim::optimizer": recipe.optimizer,
        "optim::lr": recipe.lr,
        "optim::wd": recipe.weight_decay,
        "optim::momentum": recipe.momentum,
        "optim::scheduler": recipe.scheduler,
        "training::batchsize": recipe.batch_size,
        "training::epochs_train": recipe.epochs,
        "dataset::name": builder.settings["images"],
        "seed": seed,
        ARCHITECTURE: builder.architecture.to_json(),
    }
