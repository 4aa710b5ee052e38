"""Channels beside inputs and outputs tell which model another one comes from."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.symmetry import Facing, Symmetry, facing_distances

WIDTHS = {"first": (6, 5), "middle": (4, 6), "last": (3, 4)}
SYMMETRY = Symmetry.of_places(
    {
        "a": ["first.weight:0", "first.bias:0", "middle.weight:1"],
        "b": ["middle.weight:0", "middle.bias:0", "last.weight:1"],
    },
    {f"{name}.weight": shape for name, shape in WIDTHS.items()}
    | {f"{name}.bias": shape[:1] for name, shape in WIDTHS.items()},
)


def network(rng, inputs=5):
    shapes = WIDTHS | {"first": (6, inputs)}
    state = {f"{name}.weight": rng.standard_normal(shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": rng.standard_normal(shape[0]) for name, shape in shapes.items()}
    return {name: torch.from_numpy(array).float() for name, array in state.items()}


def stacked(facing, states):
    return tuple(map(torch.stack, zip(*map(facing, states), strict=True)))


def test_only_weights_of_one_group_are_read():
    state = network(np.random.default_rng(0))
    first, last = Facing(state, SYMMETRY)(state)
    assert torch.equal(first, torch.cat([state["first.weight"], state["first.bias"][:, None]], 1))
    assert torch.equal(last, torch.cat([state["middle.bias"][:, None], state["last.weight"].T], 1))


@given(seed=st.integers(0, 1000), scale=st.floats(0, 2))
@settings(max_examples=30, deadline=None)
def test_they_bound_the_distance_under_every_order(seed, scale):
    rng = np.random.default_rng(seed)
    one, noise = network(rng), network(rng)
    near = {name: tensor + scale * noise[name] for name, tensor in one.items()}
    other = SYMMETRY.apply(near, SYMMETRY.random(rng))
    facing = Facing(one, SYMMETRY)
    found = facing_distances(facing(one), stacked(facing, [other]))
    true = sum(float((one[name] - near[name]).square().sum()) for name in one)
    assert found.item() <= true * (1 + 1e-4) + 1e-4


@pytest.mark.parametrize("inputs", [5, 200])
def test_the_origin_of_a_noisy_permuted_copy_is_nearest(inputs):
    rng = np.random.default_rng(0)
    states = [network(rng, inputs) for _ in range(30)]
    facing = Facing(states[0], SYMMETRY)
    others = stacked(facing, states)
    for place, state in enumerate(states):
        noise = network(rng, inputs)
        noisy = {name: tensor + 0.5 * noise[name] for name, tensor in state.items()}
        moved = SYMMETRY.apply(noisy, SYMMETRY.random(rng))
        assert facing_distances(facing(moved), others).argmin() == place
