"""Seeded random networks that benchmarks work on."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.symmetry import Symmetry, trace
from mzsane.zoos import ModelRecord, held
from mzsane.zoos.reading.trials import write_checkpoint, write_params

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
CNN3 = Architecture("mzsane.architectures.CNN3", {}, (3, 32, 32), 10)
RESNET18 = Architecture("mzsane.architectures.ResNet18", {}, (3, 32, 32), 10)
RESNET18_TOKEN = 288  # entries, as published


def state_of(architecture: Architecture, seed: int) -> dict[str, Tensor]:
    """An untrained network."""
    return architecture.build(seed=seed).state_dict()


def symmetry_of(architecture: Architecture) -> Symmetry:
    """Its permutations."""
    generator = torch.Generator().manual_seed(0)
    example = torch.randn(2, *architecture.input_shape, generator=generator)
    return trace(architecture.build(seed=0), example)


def records(
    architecture: Architecture, models: int, epochs: int, seed: int
) -> Iterator[ModelRecord]:
    """A zoo of untrained networks, whose epochs differ by a little noise."""
    for model in range(models):
        state = state_of(architecture, seed + model)
        generator = torch.Generator().manual_seed(seed + model)
        for epoch in range(epochs):
            moved = {name: _moved(tensor, epoch, generator) for name, tensor in state.items()}
            yield ModelRecord(f"model_{model:04d}", epoch, held(moved), {}, architecture)


def save(folder: Path, members: Iterator[ModelRecord]) -> None:
    """Write a zoo in the layout of the published ones."""
    for record in members:
        trial = folder / record.model
        if not trial.exists():
            trial.mkdir(parents=True)
            write_params(trial, {}, record.architecture)
        write_checkpoint(trial, record.epoch, record.load())


def _moved(tensor: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return tensor
    return tensor + 0.01 * epoch * torch.randn(tensor.shape, generator=generator)
