"""The learning rate of every step is the schedule's; nothing outside the network changes."""

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mzsane.architectures import Architecture
from mzsane.images import Split
from mzsane.populations import Recipe, fit

EPOCHS, STEPS = 3, 5


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(0)
    return Split(torch.randn(4 * STEPS, 1, 28, 28, generator=generator), torch.arange(20) % 10)


@pytest.fixture
def network():
    return Architecture("mzsane.architectures.CNN", {"dropout": 0.5}, (1, 28, 28), 10).build(0)


@pytest.fixture
def steps():
    """The optimizer's settings at every step."""
    seen = []
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, *_: seen.append(dict(optimizer.param_groups[0]))
    )
    yield seen
    hook.remove()


def expected(lr, scheduler):
    """Rates by PyTorch's schedule, stepped by hand."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr)
    total = EPOCHS * STEPS
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, total_steps=total, cycle_momentum=False
    )
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"] if scheduler == "onecycle" else lr)
        optimizer.step()
        schedule.step()
    return rates


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("scheduler", ["none", "onecycle"])
def test_every_step_has_the_rate_of_its_schedule(split, network, steps, optimizer, scheduler):
    recipe = Recipe(
        optimizer, 0.02, weight_decay=1e-3, momentum=0.8, batch_size=4, epochs=EPOCHS,
        scheduler=scheduler,
    )  # fmt: skip
    fit(network, split, recipe, 0, lambda epoch: None)
    steps = list(steps)  # without those of the reference
    assert [step["lr"] for step in steps] == pytest.approx(expected(0.02, scheduler), rel=1e-12)
    assert {step["weight_decay"] for step in steps} == {1e-3}
    if optimizer == "sgd":
        assert {step["momentum"] for step in steps} == {0.8}
    else:
        assert {step["betas"] for step in steps} == {(0.9, 0.999)}


def test_one_cycle_rises_for_three_tenths_of_the_run_and_falls_to_almost_nothing(
    split, network, steps
):
    recipe = Recipe("sgd", 0.1, batch_size=4, epochs=4, scheduler="onecycle")
    fit(network, split, recipe, 0, lambda epoch: None)
    rates = np.array([step["lr"] for step in steps])
    assert rates.argmax() == round(0.3 * len(rates)) - 1
    assert rates[[0, 5, -1]] == pytest.approx([0.1 / 25, 0.1, 0.1 / 25e4])
    assert (np.diff(rates[:6]) > 0).all()
    assert (np.diff(rates[5:]) < 0).all()


def random_states():
    _, numbers, *place = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), numbers.tolist(), place


def test_random_states_images_and_memory_order_stay(split, network):
    images, states = split.images.clone(), random_states()
    fit(network, split, Recipe(batch_size=4, epochs=1), 0, lambda epoch: None)
    assert random_states() == states
    assert torch.equal(split.images, images)
    assert all(tensor.is_contiguous() for tensor in network.state_dict().values())
