"""Conditioning replaces BatchNorm's running statistics and nothing else."""

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.images import digits
from mzsane.populations import Population, Recipe, condition, evaluate, fit, initialise

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 4}, (1, 16, 16), 10)


@pytest.fixture(scope="module")
def images():
    return digits(shape=(1, 16, 16))


def destroyed(population, value=9.0):
    """The same weights, with running statistics that fit nothing."""
    tensors = {
        name: torch.full_like(tensor, value) if "running" in name else tensor
        for name, tensor in population.tensors.items()
    }
    return Population(population.architecture, tensors)


@pytest.mark.parametrize("value", [9.0, float("nan")])
@pytest.mark.parametrize("engine", ["process", "vmap"])
def test_destroyed_statistics_are_forgotten_and_all_else_is_kept(images, engine, value):
    population = initialise(RESNET, range(3))
    found = condition(destroyed(population, value), images.validation, engine=engine)
    reference = condition(population, images.validation, engine="process")
    for name, tensor in population.tensors.items():
        torch.testing.assert_close(found.tensors[name], reference.tensors[name])
        assert torch.equal(found.tensors[name], tensor) != ("running" in name)


def test_statistics_are_plain_averages_over_equal_batches(images):
    population = initialise(RESNET, [0])
    split = images.validation
    found = condition(population, split, batch_size=40, batches=3).tensors
    activations = RESNET.build(0).conv1(split.images[:120]).detach()
    batches = activations.split(40)
    mean = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    variance = torch.stack([batch.var((0, 2, 3)) for batch in batches]).mean(0)
    torch.testing.assert_close(found["bn1.running_mean"][0], mean)
    torch.testing.assert_close(found["bn1.running_var"][0], variance)


def test_a_trained_network_regains_its_accuracy(images):
    network = RESNET.build(0)
    recipe = Recipe(lr=5e-3, batch_size=32, epochs=2, scheduler="onecycle")
    fit(network, images.train, recipe, seed=0, after_epoch=lambda epoch: None)
    trained = Population.from_states(RESNET, [network.state_dict()])
    accuracies = [
        float(evaluate(population, images.test).accuracy)
        for population in (
            trained,
            destroyed(trained),
            condition(destroyed(trained), images.validation),
        )
    ]
    assert accuracies[0] > 0.8
    assert accuracies[1] < 0.5
    assert accuracies[2] > accuracies[0] - 0.05


def test_networks_without_batchnorm_stay_as_they_are():
    population = initialise(CNN, [0])
    assert condition(population, digits().validation) is population
