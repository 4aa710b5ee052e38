"""Refining is gradient descent in latents, through decoder and network."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from mzsane.architectures import Architecture
from mzsane.sampling import decode_models, encode_rows, encode_states, refine
from mzsane.sampling import refining as refining_module
from mzsane.sampling import windows as windows_module
from mzsane.sampling.refining import _pulled_back
from mzsane.tokens import Layout, slice_halo, stitch_halo

RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 1}, (1, 8, 8), 3)


def images_for(architecture, count=24):
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, *architecture.input_shape, generator=generator)
    return images, torch.arange(count) % architecture.classes


def loss_of(model, latents, anchors, images, labels):
    population = decode_models(model, latents, anchors, 16, 2)
    network = anchors.architecture.build().train()
    with torch.no_grad():
        return [
            float(
                cross_entropy(
                    torch.func.functional_call(network, population.state(n), (images,)), labels
                )
            )
            for n in range(len(population))
        ]


@pytest.fixture(params=["cnn_shelf", "resnet_shelf"])
def case(request, small_sane):
    shelf = request.getfixturevalue(request.param)
    model = small_sane(shelf.layout.d_token)
    anchors = encode_rows(model, shelf, np.arange(2), 16, 2)
    return model, anchors, *images_for(shelf.architecture)


def test_the_loss_falls_and_nothing_else_changes(case):
    model, anchors, images, labels = case
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first, state = anchors.latents.clone(), torch.get_rng_state()
    refined = refine(model, first, anchors, images, labels, 15, 0.1, 0, 16, 2)
    earlier = loss_of(model, first, anchors, images, labels)
    later = loss_of(model, refined, anchors, images, labels)
    assert all(b < a - 0.01 for a, b in zip(earlier, later, strict=True))
    assert torch.equal(first, anchors.latents)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


def test_the_budget_is_one_pass_of_the_network_a_step(case, monkeypatch):
    model, anchors, images, labels = case
    passes = []
    original = refining_module._slope
    monkeypatch.setattr(
        refining_module, "_slope", lambda *given: passes.append(len(given[3])) or original(*given)
    )
    refine(model, anchors.latents, anchors, images, labels, 4, 0.1, 0, 16, 2, batch_size=10)
    assert passes == [10] * 4 * 2


def test_no_steps_leave_latents_as_they_are_and_the_seed_decides(case):
    model, anchors, images, labels = case

    def run(steps, seed):
        return refine(
            model, anchors.latents, anchors, images, labels, steps, 0.1, seed, 16, 2, batch_size=8
        )

    assert torch.equal(run(0, 0), anchors.latents)
    assert torch.equal(run(2, 0), run(2, 0))
    assert not torch.equal(run(2, 0), run(2, 1))


@pytest.mark.parametrize("window", [16, 4000])
def test_the_gradient_is_that_of_the_decoder_in_windows(cnn_shelf, small_sane, window, monkeypatch):
    """Against autograd through every window at once."""
    model = small_sane(cnn_shelf.layout.d_token)
    anchors = encode_rows(model, cnn_shelf, np.arange(1), 16, 2)
    latents, positions = anchors.latents[0], cnn_shelf.layout.positions
    length = len(latents)
    slope = torch.randn(
        length, cnn_shelf.layout.d_token, generator=torch.Generator().manual_seed(1)
    )
    content, halo = (length, 0) if window > length else (window - 4, 2)
    free = latents.clone().requires_grad_()
    tokens = model.decode(slice_halo(free, content, halo), slice_halo(positions, content, halo))
    (stitch_halo(tokens, length, content, halo) * slope).sum().backward()
    monkeypatch.setitem(windows_module.PASS, "cpu", 50)
    found = _pulled_back(model, latents, slope, anchors, window, 2)
    torch.testing.assert_close(found, free.grad, rtol=1e-4, atol=1e-5)


def test_images_with_more_classes_are_refused(case):
    model, anchors, images, labels = case
    with pytest.raises(ValueError, match="take other images"):
        refine(model, anchors.latents, anchors, images, labels + 50, 1, 0.1, 0, 16, 2)


def test_what_is_no_token_of_a_model_is_its_own_where_that_is_asked(resnet_shelf, small_sane):
    states = resnet_shelf.states(np.array([0, 8]))
    states["bn1.weight"][1] *= -3
    one = {name: tensor[0] for name, tensor in states.items()}
    layout = Layout.of(one, size=18, batchnorm="ignore")
    model = small_sane(18)
    both = encode_states(model, layout, states, ["a", "b"], RESNET, "two", 16, 2)
    second = {name: tensor[1:] for name, tensor in states.items()}
    alone = encode_states(model, layout, second, ["b"], RESNET, "one", 16, 2)
    budget = (*images_for(RESNET), 3, 0.1, 0, 16, 2)
    own = refine(model, both.latents, both, *budget, carried=both.carried)
    # in another order of images, of which Adam makes more than rounding; a step is 0.1
    as_alone = refine(model, alone.latents, alone, *budget)
    torch.testing.assert_close(own[1:], as_alone, atol=1e-3, rtol=0)
    assert (own - refine(model, both.latents, both, *budget)).abs().max() > 0.05
