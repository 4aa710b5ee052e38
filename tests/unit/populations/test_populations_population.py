"""A population is its models, stacked: none lost, none mixed up, none of another kind."""

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.populations import Population, initialise


def equal(first, second):
    return list(first) == list(second) and all(torch.equal(first[n], second[n]) for n in first)


def test_unstacking_gives_the_states_that_were_stacked(architecture):
    states = [architecture.build(seed).state_dict() for seed in range(3)]
    population = Population.from_states(architecture, states)
    assert len(population) == 3
    assert all(equal(population.state(model), states[model]) for model in range(3))
    architecture.build().load_state_dict(population.state(1))


def test_initialised_models_are_those_of_their_seeds(architecture):
    state = torch.random.get_rng_state()
    population = initialise(architecture, [7, 3])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert equal(population.state(0), architecture.build(7).state_dict())
    assert equal(population.state(1), architecture.build(3).state_dict())


def test_a_slice_is_a_view_and_an_index_a_copy(population):
    for chosen, is_view in ((slice(1, 4), True), (torch.tensor([1, 2, 3]), False)):
        part = population[chosen]
        assert len(part) == 3
        assert equal(part.state(0), population.state(1))
        for name, tensor in part.tensors.items():
            whole = population.tensors[name].untyped_storage().data_ptr()
            assert (tensor.untyped_storage().data_ptr() == whole) == is_view


def test_concatenation_undoes_slicing(population):
    joined = Population.concatenate([population[:2], population[2:3], population[3:]])
    assert equal(joined.tensors, population.tensors)
    assert joined.architecture == population.architecture


def test_moving_to_another_device_moves_every_tensor(population):
    moved = population.to("meta")
    assert moved.device.type == "meta"
    assert {tensor.device.type for tensor in moved.tensors.values()} == {"meta"}
    assert population.device.type == "cpu"


def test_populations_of_different_architectures_do_not_join(architecture):
    other = Architecture("mzsane.architectures.MLP", {}, (1, 28, 28), 10)
    with pytest.raises(ValueError, match=f"one architecture.*{architecture.name}.*mlp"):
        Population.concatenate([initialise(architecture, [0]), initialise(other, [0])])


def test_nothing_cannot_be_joined_or_stacked(architecture):
    with pytest.raises(ValueError, match="one architecture"):
        Population.concatenate([])
    with pytest.raises(ValueError, match="at least one"):
        Population.from_states(architecture, [])


def test_a_state_of_another_shape_is_refused_by_number_and_name(architecture):
    states = [architecture.build(seed).state_dict() for seed in range(2)]
    name = next(iter(states[1]))
    states[1][name] = torch.zeros(1)
    with pytest.raises(ValueError, match=f"state dict 1 .*{name}"):
        Population.from_states(architecture, states)


def test_a_state_with_a_tensor_missing_is_refused(architecture):
    states = [architecture.build(seed).state_dict() for seed in range(2)]
    name = list(states[1])[-1]
    del states[1][name]
    with pytest.raises(ValueError, match=f"state dict 1 .*{name}"):
        Population.from_states(architecture, states)


def test_tensors_that_disagree_on_the_number_of_models_are_refused(population):
    name = next(iter(population.tensors))
    tensors = population.tensors | {name: population.tensors[name][:2]}
    with pytest.raises(ValueError, match="different numbers of models"):
        Population(population.architecture, tensors)
