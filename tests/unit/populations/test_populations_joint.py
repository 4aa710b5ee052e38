"""Models trained side by side are those that are trained one after the other."""

from dataclasses import replace

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.architectures.architecture import NETWORKS
from mzsane.images import Split
from mzsane.populations import JointTraining, Population, Recipe, Training, initialise
from mzsane.populations.joint import most_together

CNN = Architecture("mzsane.architectures.CNN", {"width": [3, 2, 2]}, (1, 28, 28), 10)
NARROW = Architecture("mzsane.architectures.ResNet18", {"width": 2}, (1, 12, 12), 10)
SEEDS = [3, 4, 5]
RECIPE = Recipe("sgd", 0.05, 1e-3, batch_size=8, epochs=3, scheduler="onecycle")


def split_for(architecture, images=26):
    generator = torch.Generator().manual_seed(1)
    shape = (images, *architecture.input_shape)
    return Split(torch.randn(shape, generator=generator), torch.arange(images) % 10)


def alone(architecture, recipe, seed, epochs=None):
    training = Training(architecture.build(seed), split_for(architecture), recipe, seed)
    while training.epoch < (recipe.epochs if epochs is None else epochs):
        training.advance()
    return training


def jointly(architecture, recipes, epochs=None):
    population = initialise(architecture, SEEDS)
    training = JointTraining(population, split_for(architecture), recipes, SEEDS)
    while training.epoch < (recipes[0].epochs if epochs is None else epochs):
        training.advance()
    return training


def assert_same(trainings, joint, tolerance):
    for training, weights in zip(trainings, joint.weights(), strict=True):
        expected = training.weights()[0]
        assert list(weights) == list(expected)
        for name, tensor in weights.items():
            torch.testing.assert_close(
                tensor, expected[name], atol=tolerance, rtol=tolerance, msg=lambda m, n=name: n + m
            )


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("scheduler", ["none", "onecycle", "cosine"])
def test_every_recipe_gives_the_numbers_of_the_loop(optimizer, scheduler):
    recipe = replace(RECIPE, optimizer=optimizer, scheduler=scheduler, lr=5e-3)
    joint = jointly(CNN, [recipe] * 3)
    assert_same([alone(CNN, recipe, seed) for seed in SEEDS], joint, 2e-4)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_rates_decays_and_momenta_are_each_models_own(optimizer):
    settings = zip([1e-3, 1e-2, 3e-3], [0.1, 0.0, 1e-2], [0.0, 0.9, 0.5], strict=True)
    recipes = [
        replace(RECIPE, optimizer=optimizer, lr=lr, weight_decay=decay, momentum=momentum)
        for lr, decay, momentum in settings
    ]
    loop = [alone(CNN, recipe, seed) for recipe, seed in zip(recipes, SEEDS, strict=True)]
    assert_same(loop, jointly(CNN, recipes), 2e-4)


def test_running_statistics_of_batchnorm_are_each_models_own():
    recipe = replace(RECIPE, lr=1e-2, epochs=1)
    joint = jointly(NARROW, [recipe] * 3)
    assert_same([alone(NARROW, recipe, seed) for seed in SEEDS], joint, 1e-3)
    means = [weights["bn1.running_mean"] for weights in joint.weights()]
    assert not torch.allclose(means[0], means[1])
    assert [weights["bn1.num_batches_tracked"].item() for weights in joint.weights()] == [3] * 3


def test_scores_are_those_of_the_loop():
    joint, split = jointly(CNN, [RECIPE] * 3), split_for(CNN)
    for model, seed in enumerate(SEEDS):
        expected = alone(CNN, RECIPE, seed).score(split)
        assert joint.score(split).loss[model] == pytest.approx(expected.loss.item(), abs=1e-3)


def test_dropout_draws_for_every_model_and_repeats():
    dropping = replace(CNN, arguments={"dropout": 0.5})
    recipe = Recipe("sgd", 0.5, batch_size=8, epochs=1)
    population = Population.from_states(dropping, [dropping.build(0).state_dict()] * 2)
    runs = []
    for _ in range(2):
        before = torch.get_rng_state()
        split = Split(*(tensor[:8] for tensor in split_for(dropping)))  # one batch: no order
        training = JointTraining(population, split, [recipe] * 2, [0, 1])
        training.advance()
        assert torch.equal(before, torch.get_rng_state())
        runs.append([torch.cat([t.flatten() for t in w.values()]) for w in training.weights()])
    assert torch.equal(runs[0][0], runs[1][0])
    assert not torch.allclose(runs[0][0], runs[0][1], atol=1e-4)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("architecture", [CNN, NARROW])
def test_both_go_on_from_their_states_to_the_same_bits(tmp_path, architecture, optimizer):
    recipe = replace(RECIPE, optimizer=optimizer, lr=1e-2)
    split, populations = split_for(architecture), initialise(architecture, [9, 9, 9])
    for stopped, fresh, whole in [
        (
            alone(architecture, recipe, 3, epochs=1),
            Training(architecture.build(9), split, recipe, 3),
            alone(architecture, recipe, 3),
        ),
        (
            jointly(architecture, [recipe] * 3, epochs=1),
            JointTraining(populations, split, [recipe] * 3, SEEDS),
            jointly(architecture, [recipe] * 3),
        ),
    ]:
        torch.save(stopped.states(), tmp_path / "states")
        fresh.resume(torch.load(tmp_path / "states", weights_only=True))
        while fresh.epoch < recipe.epochs:
            fresh.advance()
        for ours, theirs in zip(fresh.weights(), whole.weights(), strict=True):
            assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("target", NETWORKS)
def test_every_network_trains_either_way(target):
    """Whatever order the axes have in memory, and whatever layers there are."""
    small = {"width": 2} if "ResNet18" in target else {}
    small |= {"patch_size": 8} if "ViT" in target else {}
    architecture = Architecture(target, small, (3, 32, 32), 10)
    recipe = Recipe("sgd", 1e-3, batch_size=2, epochs=1)
    split = Split(*(tensor[:2] for tensor in split_for(architecture)))
    training = Training(architecture.build(0), split, recipe, 0)
    joint = JointTraining(initialise(architecture, [0]), split, [recipe], [0])
    training.advance()
    joint.advance()
    if not architecture.settings.get("dropout"):
        assert_same([training], joint, 1e-3)


def test_recipes_that_cannot_go_together_are_refused():
    with pytest.raises(ValueError, match=r"recipe.epochs=\[2, 3\]: models trained at once"):
        jointly(CNN, [RECIPE, replace(RECIPE, epochs=2), RECIPE])


class Tied(torch.nn.Module):
    """Two layers of the same weights."""

    def __init__(self):
        super().__init__()
        self.first = self.second = torch.nn.Linear(4, 4)


def test_tied_weights_are_refused_before_they_come_apart():
    tied = Architecture(f"{__name__}.Tied", {}, (1, 2, 2), 4, trusted=True)
    population = initialise(tied, [0, 1])
    with pytest.raises(ValueError, match=r"'second.bias' is shared.*engine=process"):
        JointTraining(population, split_for(tied), [RECIPE] * 2, [0, 1])


def test_less_memory_takes_fewer_models_and_at_least_one(monkeypatch):
    network, images = CNN.build().eval(), split_for(CNN).images
    many = most_together(network, images, torch.device("cpu"))
    assert many > most_together(network, images.repeat(4, 1, 1, 1), torch.device("cpu")) > 1
    monkeypatch.setattr("mzsane.populations.engines.BUDGET", 1)
    assert most_together(network, images, torch.device("cpu")) == 1
