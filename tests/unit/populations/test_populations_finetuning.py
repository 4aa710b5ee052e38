"""Fine-tuning is plain training, in any engine; a new head leaves the body as it is."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from mzsane.architectures import Architecture
from mzsane.populations import (
    Population,
    Recipe,
    finetune,
    initialise,
    log_probabilities,
    renew_head,
)
from mzsane.populations.training import shuffled

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
RECIPE = Recipe("sgd", lr=2e-3, batch_size=16, epochs=1)


def plain_loop(population, model, split, seed, steps):
    """What a reader of the docstring would write."""
    network = population.architecture.build()
    network.load_state_dict(population.state(model))
    optimizer = torch.optim.SGD(network.parameters(), lr=2e-3, momentum=0.9)
    made = 0
    for epoch in range(10):
        for batch in shuffled(seed, epoch, len(split.images), 16):
            if made == steps:
                return network.state_dict()
            loss = cross_entropy(network(split.images[batch]), split.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            made += 1


@pytest.mark.parametrize("engine", ["process", "vmap"])
def test_fine_tuning_equals_a_plain_loop_after_every_number_of_steps(
    population, make_noise, engine
):
    split = make_noise(population.architecture)  # 60 images: 3 steps an epoch
    few = population[:2]
    tolerance = 1e-5 if population.architecture.name == "cnn" else 1e-3  # BatchNorm adds rounding
    moments = finetune(few, split, RECIPE, [4, 9], after=[0, 2, 3, 5], engine=engine)
    for name, tensor in few.tensors.items():
        assert torch.equal(moments[0].tensors[name], tensor)
    for steps, found in zip([2, 3, 5], moments[1:], strict=True):
        for model, seed in enumerate([4, 9]):
            expected = plain_loop(few, model, split, seed, steps)
            for name, tensor in found.state(model).items():
                torch.testing.assert_close(tensor, expected[name], atol=tolerance, rtol=tolerance)


def test_models_do_not_depend_on_who_is_trained_beside_them(make_noise):
    models = initialise(CNN, range(4))
    split = make_noise(models.architecture)
    together = finetune(models, split, RECIPE, range(4), after=[3])[0]
    alone = finetune(models[3:], split, RECIPE, [3], after=[3])[0]
    for name, tensor in alone.tensors.items():
        assert torch.equal(tensor[0], together.tensors[name][3])


def test_probabilities_are_the_softmax_of_logits(population, make_noise):
    split = make_noise(population.architecture, 30)
    found = log_probabilities(population, split)
    network = population.architecture.build().eval()
    for model in range(len(population)):
        network.load_state_dict(population.state(model))
        with torch.no_grad():
            torch.testing.assert_close(found[model], network(split.images).log_softmax(1))


def test_what_is_nearly_impossible_keeps_a_finite_logarithm(make_noise):
    models = initialise(CNN, range(2))
    sure = {name: 1e3 * tensor for name, tensor in models.tensors.items()}
    found = log_probabilities(Population(CNN, sure), make_noise(CNN))
    assert found.isfinite().all()
    assert (found.exp() == 0).any()


@pytest.mark.parametrize("classes", [10, 3])
def test_a_new_head_has_the_right_size_and_leaves_the_body(population, make_noise, classes):
    renewed = renew_head(population, classes, [7, 8, 9, 10])
    fresh = initialise(renewed.architecture, [7, 8, 9, 10])
    changed = [
        name
        for name, tensor in population.tensors.items()
        if not torch.equal(renewed.tensors[name], tensor)
    ]
    assert {name.rpartition(".")[0] for name in changed} <= {"module_list.11", "fc"}
    assert changed
    for name in changed:
        assert torch.equal(renewed.tensors[name], fresh.tensors[name])
    assert log_probabilities(renewed, make_noise(population.architecture)).shape[-1] == classes


def test_classes_among_the_arguments_are_replaced_too():
    stated = Architecture("mzsane.architectures.CNN", {"classes": 4}, (1, 28, 28), 4)
    assert renew_head(initialise(stated, [0]), 3, [0]).tensors["module_list.11.bias"].shape == (
        1,
        3,
    )


def test_a_network_without_a_classifier_is_refused():
    odd = Architecture("mzsane.architectures.CNN", {"classes": 4}, (1, 28, 28), 7)
    with pytest.raises(ValueError, match="no linear layer gives 7 numbers"):
        renew_head(initialise(odd, [0]), 3, [0])
