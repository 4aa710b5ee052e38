"""Building a zoo: many models of one architecture on one image set."""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from mzsane.architectures import Architecture
from mzsane.images import ImageSet, name_of
from mzsane.populations import Recipe
from mzsane.progress import Progress, silent
from mzsane.zoos.building.apart import train_apart
from mzsane.zoos.building.claiming import claim, is_claimed, locked, refuse_foreign, swept
from mzsane.zoos.building.designs import Design, Range, applied, drawn, factors, grid
from mzsane.zoos.building.fitting import require_fitting
from mzsane.zoos.building.together import train_together
from mzsane.zoos.building.training import Trial, model_seed


@dataclass(frozen=True)
class Builder:
    """Trains what is missing of a zoo: one process a core on a CPU, vectorised on a GPU.

    Model `i` is a function of (seed, image set, i) and of what varies, so a zoo can grow: with a
    larger `num_models` the models that are there stay as they are, with a smaller one they stay,
    too. A trial's folder appears when its model is complete, so an interrupted build goes on where
    it was; a model that takes minutes goes on from a state at most a minute and an epoch old.

    Args:
        folder: of the zoo.
        images: loads the image set.
        architecture: of all models, but for what varies.
        num_models: how many; in a grid, how many of each combination.
        recipe: how each is trained, but for what varies.
        checkpoint_epochs: after which epochs weights are kept; 0 is before training.
        seed: of the zoo.
        workers: processes; -1 takes every core.
        vary: settings that differ between models, by their name in `recipe` or among the
            architecture's arguments: a list of values, or, in a random design, the ``low``,
            ``high`` and ``scale`` of a `Range`; None leaves one as it is.
        design: ``grid`` takes every combination, as the published zoos do; ``random`` draws each
            setting of each model independently.
        seeds: ``fresh`` gives every model its own initial weights and order of images; ``shared``
            gives the models of a grid's combinations the same ones, which are the published zoos
            with "fixed seeds".
        measure_every: epochs between results; the last and those that are kept have them, too.
        engine: ``process``, ``vmap``, or ``auto``, which vectorises where there is a GPU. The
            numbers of both agree to rounding in every step, but for what dropout draws.

    Raises:
        ValueError: if an epoch to be kept is beyond a recipe's, or there is none; if what is to
            vary cannot.
    """

    folder: str | Path
    images: Callable[[], ImageSet]
    architecture: Architecture
    num_models: int
    recipe: Recipe
    checkpoint_epochs: Sequence[int]
    seed: int = 0
    workers: int = -1
    vary: Mapping[str, Any] = field(default_factory=dict)
    design: Design = "grid"
    seeds: Literal["fresh", "shared"] = "fresh"
    measure_every: int = 1
    engine: Literal["auto", "process", "vmap"] = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, and epochs that training never reaches."""
        if self.measure_every < 1:
            raise ValueError(f"measure_every={self.measure_every}: take 1 or more epochs")
        epochs = set(self.checkpoint_epochs)
        last = min((trial.recipe.epochs for trial in self.trials), default=self.recipe.epochs)
        if not epochs or not epochs <= set(range(last + 1)):
            raise ValueError(
                f"checkpoint_epochs={sorted(epochs)}: name one or more of the epochs 0 to "
                f"{last} that recipe.epochs allows"
            )

    @cached_property
    def factors(self) -> dict[str, Any]:
        """What varies, by name."""
        return factors(self.vary, self.architecture, self.design)

    @cached_property
    def trials(self) -> list[Trial]:
        """All models, in the order of their numbers."""
        images = name_of(self.images)
        if self.design == "grid":
            planned = grid(self.factors, self.num_models)
        else:
            key = [self.seed, int.from_bytes(images.encode(), "little")]
            planned = drawn(self.factors, self.num_models, key)
        return [
            self._trial(index, values, repetition, images)
            for index, (values, repetition) in enumerate(planned)
        ]

    def _trial(self, index: int, values: dict[str, Any], repetition: int, images: str) -> Trial:
        architecture, recipe = applied(values, self.architecture, self.recipe)
        return Trial(
            architecture=architecture,
            recipe=recipe,
            checkpoint_epochs=tuple(self.checkpoint_epochs),
            index=index,
            model_seed=model_seed(
                self.seed, images, repetition if self.seeds == "shared" else index
            ),
            images=images,
            measure_every=self.measure_every,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the zoo's models, as plain values; where images are cached does not."""
        # signature applies what a partial adds; defaults count, or a changed one would go unseen
        parameters = inspect.signature(self.images).parameters
        return {
            "images": name_of(self.images),
            "images_arguments": {k: p.default for k, p in parameters.items() if k != "cache"},
            "architecture": json.loads(self.architecture.to_json()),
            "recipe": asdict(self.recipe),
            "checkpoint_epochs": sorted(self.checkpoint_epochs),
            "seed": self.seed,
            "num_models": self.num_models,
            # nothing at all where nothing varies
            "vary": {k: asdict(v) if isinstance(v, Range) else v for k, v in self.factors.items()},
            "design": self.design if self.factors else None,
            "seeds": self.seeds if self.factors else None,
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
            claimed = is_claimed(folder, self.settings)
            if not claimed:
                refuse_foreign(folder)
            if missing := self._missing(folder):
                images = self.images()
                require_fitting(missing, images)
                if not claimed:
                    claim(folder, self.settings)
                self._train(missing, images, folder, progress)

    def _missing(self, folder: Path) -> list[Trial]:
        return [trial for trial in self.trials if not (folder / trial.name).exists()]

    def _train(
        self, trials: Sequence[Trial], images: ImageSet, folder: Path, progress: Progress
    ) -> None:
        """Train these, in any order."""
        stage = f"training {folder.name}"
        progress(stage, 0, len(trials))
        splits = {"train": images.train, "val": images.validation, "test": images.test}
        on_gpu = torch.cuda.is_available()
        if self.engine == "vmap" or (self.engine == "auto" and on_gpu):
            device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else "cpu"
            finished = train_together(trials, splits, folder, torch.device(device))
        else:
            finished = train_apart(trials, splits, folder, self.workers)
        with closing(finished):
            for done in finished:
                progress(stage, done, len(trials))
