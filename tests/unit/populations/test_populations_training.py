"""Training is a function of the network, the images, the recipe and the seed."""

from dataclasses import replace

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.images import Split, digits
from mzsane.populations import Recipe, fit, score

CNN = Architecture("mzsane.architectures.CNN", {"dropout": 0.2}, (1, 28, 28), 10)
RECIPE = Recipe(lr=1e-2, batch_size=32, epochs=2)


@pytest.fixture(scope="module")
def split():
    train = digits().train
    return Split(train.images[:200], train.labels[:200])


def trained(split, recipe=RECIPE, seed=0, after_epoch=lambda epoch: None):
    network = CNN.build(0)
    fit(network, split, recipe, seed, after_epoch)
    return torch.cat([parameter.flatten() for parameter in network.parameters()]).detach()


def test_the_seed_repeats_and_decides(split):
    torch.manual_seed(1)
    first = trained(split)
    torch.manual_seed(2)
    assert torch.equal(first, trained(split))
    assert not torch.equal(first, trained(split, seed=1))


def test_what_happens_after_an_epoch_changes_nothing(split):
    def disturb(epoch):
        torch.rand(epoch + 3)

    before = torch.get_rng_state()
    calm = trained(split)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(calm, trained(split, after_epoch=disturb))


def test_epochs_are_counted_from_the_untrained_network(split):
    network, seen = CNN.build(0), []
    initial = network.module_list[0].weight.clone()

    def after_epoch(epoch):
        seen.append((epoch, torch.equal(network.module_list[0].weight, initial)))
        network.eval()  # dropout is back in the next epoch, or the weights would differ below

    fit(network, split, RECIPE, 0, after_epoch)
    assert seen == [(0, True), (1, False), (2, False)]
    weights = torch.cat([parameter.flatten() for parameter in network.parameters()])
    assert torch.equal(weights, trained(split))


def test_training_on_a_cpu_leaves_gpus_alone(split, monkeypatch):
    def touched(*arguments):
        raise AssertionError("a GPU's generator was seeded")

    monkeypatch.setattr(torch.cuda, "manual_seed_all", touched)
    trained(split, RECIPE)


def test_every_epoch_has_an_order_of_its_own(split):
    """Were the order the same, one epoch of SGD after another would repeat its losses' order."""
    orders = []

    class Spy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(784, 10)

        def forward(self, images):
            orders.append(images.sum((1, 2, 3)))
            return self.layer(images.flatten(1))

    fit(Spy(), split, RECIPE, 0, lambda epoch: None)
    first, second = torch.cat(orders[:6]), torch.cat(orders[6:])
    assert not torch.equal(first, second)
    assert len(first) == 192, "the last images fill no batch"
    assert len(set(first.tolist())) > 185, "an epoch shows every image once"


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("scheduler", ["none", "onecycle"])
def test_every_recipe_learns(split, optimizer, scheduler):
    recipe = Recipe(optimizer, 1e-2, batch_size=20, epochs=4, scheduler=scheduler)
    network = CNN.build(0)
    before = score(network, split).loss
    fit(network, split, recipe, 0, lambda epoch: None)
    assert score(network, split).loss < 0.9 * before


def test_a_step_is_that_of_the_plain_optimizer(split):
    recipe = Recipe("sgd", lr=0.1, momentum=0.0, batch_size=200, epochs=1)
    network = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10).build(0)
    loss = torch.nn.functional.cross_entropy(network(split.images), split.labels)
    gradients = torch.autograd.grad(loss, list(network.parameters()))
    expected = [p.detach() - 0.1 * g for p, g in zip(network.parameters(), gradients, strict=True)]
    fit(network, split, recipe, 0, lambda epoch: None)
    for parameter, wanted in zip(network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), wanted, atol=1e-5, rtol=1e-4)


def test_what_cannot_train_is_refused(split):
    with pytest.raises(ValueError, match=r"recipe.optimizer=rmsprop: choose one of adam"):
        Recipe(optimizer="rmsprop")
    with pytest.raises(ValueError, match=r"recipe.scheduler=steps"):
        Recipe(scheduler="steps")
    with pytest.raises(ValueError, match=r"recipe.epochs=0"):
        Recipe(epochs=0)
    with pytest.raises(ValueError, match="do not fill one batch"):
        trained(split, replace(RECIPE, batch_size=201))
