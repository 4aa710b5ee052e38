"""Populations of untrained networks, images of noise, and labels that one model knows."""

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.images import Split
from mzsane.populations import Population, initialise

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 4}, (3, 32, 32), 10)


def noise(architecture, count=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, *architecture.input_shape, generator=generator)
    labels = torch.randint(architecture.classes, (count,), generator=generator)
    return Split(images, labels)


def with_statistics(population, seed=0):
    """Running statistics that are neither those of new networks nor equal among models."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: torch.rand(tensor.shape, generator=generator) + 0.5 if "running" in name else tensor
        for name, tensor in population.tensors.items()
    }
    return Population(population.architecture, tensors)


@pytest.fixture(params=[CNN, RESNET], ids=["cnn", "resnet"])
def architecture(request):
    return request.param


@pytest.fixture
def population(architecture):
    return with_statistics(initialise(architecture, range(4)))


@pytest.fixture
def resnets():
    return with_statistics(initialise(RESNET, range(3)))


@pytest.fixture
def make_noise():
    return noise
