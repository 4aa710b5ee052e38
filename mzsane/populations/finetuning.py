"""Populations after some more training."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

import torch
from jaxtyping import Int
from torch import Tensor

from mzsane.images import Split
from mzsane.populations.engines import Engine, engine_of, spread
from mzsane.populations.evaluating import require_fitting
from mzsane.populations.joint import JointTraining, most_together
from mzsane.populations.population import Population
from mzsane.populations.recipes import Recipe, steps_an_epoch
from mzsane.populations.training import Training


def finetune(
    population: Population,
    split: Split,
    recipe: Recipe,
    seeds: Sequence[int],
    after: Sequence[int],
    workers: int = 1,
    engine: Engine | None = None,
) -> list[Population]:
    """The models after some numbers of steps of training, as copies.

    Args:
        population: the models as they begin; trained where their tensors lie.
        split: images and labels to train on.
        recipe: how; its ``epochs`` count only in that a schedule spans them, or as many as the
            steps need.
        seeds: one a model, which decides the order of the images and dropout.
        after: numbers of steps, ascending; 0 is as they came.
        workers: processes for models on a CPU, see `mzsane.populations.engines.spread`.
        engine: ``process`` or ``vmap``; None takes the one that suits the device.

    Returns:
        One population for each number in `after`, on the CPU, where there is room for all.

    Raises:
        ValueError: the images do not have the architecture's shape, or do not fill one batch.
    """
    require_fitting(population, split)
    needed = ceil(after[-1] / steps_an_epoch(recipe, len(split.images)))
    recipe = replace(recipe, epochs=max(recipe.epochs, needed))
    seeded = _Seeded(population, torch.tensor(seeds))
    if (engine or engine_of(population)) == "process":
        work = partial(_one_by_one, split=split, recipe=recipe, after=after)
        parts = spread(work, seeded, workers)
    else:
        parts = _jointly(seeded, split, recipe, after)
    return [Population.concatenate(moment) for moment in zip(*parts, strict=True)]


@dataclass(frozen=True)
class _Seeded:
    """Models and the seed of each."""

    population: Population
    seeds: Int[Tensor, " models"]

    def __len__(self) -> int:
        return len(self.population)

    def __getitem__(self, models: slice | Int[Tensor, "_chosen"]) -> "_Seeded":
        return _Seeded(self.population[models], self.seeds[models])


def _one_by_one(
    seeded: _Seeded, split: Split, recipe: Recipe, after: Sequence[int]
) -> list[Population]:
    """One network after the other, at each moment."""
    population, seeds = seeded.population, seeded.seeds.tolist()
    network = population.architecture.build().to(population.device)
    curves = []
    for model, seed in enumerate(seeds):
        network.load_state_dict(population.state(model))
        curves.append(_followed(Training(network, split, recipe, seed), after))
    return _stacked(population, [[moment[0] for moment in curve] for curve in curves])


def _jointly(
    seeded: _Seeded, split: Split, recipe: Recipe, after: Sequence[int]
) -> list[list[Population]]:
    """As many networks at once as fit into memory."""
    population, parts = seeded.population, []
    batch = split.images[: recipe.batch_size].cpu()
    network = population.architecture.build().eval()
    size = most_together(network, batch, population.device)
    for first in range(0, len(population), size):
        part = seeded[first : first + size]
        recipes = [recipe] * len(part)
        training = JointTraining(part.population, split, recipes, part.seeds.tolist())
        curve = _followed(training, after)
        models = range(len(part))
        parts.append(_stacked(population, [[states[m] for states in curve] for m in models]))
    return parts


def _followed(
    training: Training | JointTraining, after: Sequence[int]
) -> list[list[dict[str, Tensor]]]:
    """Weights of the models at each moment."""
    found = [_weights(training)] if after[0] == 0 else []
    while len(found) < len(after):
        for step in training.steps():
            if step == after[len(found)]:
                found.append(_weights(training))
            if len(found) == len(after):
                break
    return found


def _weights(training: Training | JointTraining) -> list[dict[str, Tensor]]:
    """Copies on the CPU, with the axes in their usual order."""
    return [
        {name: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
         for name, tensor in state.items()}
        for state in training.weights()
    ]  # fmt: skip


def _stacked(
    population: Population, curves: Sequence[Sequence[dict[str, Tensor]]]
) -> list[Population]:
    """From the moments of each model to a population for each moment."""
    return [
        Population.from_states(population.architecture, moment)
        for moment in zip(*curves, strict=True)
    ]
