"""Baselines are what their names say, and repeat by seed and name alone."""

import numpy as np
import pytest
import torch

from mzsane.evaluation.baselines import (
    add_noise,
    average,
    drawn_in_weights,
    permute,
    weight_baselines,
)
from mzsane.evaluation.streams import stream_of, torch_generator
from mzsane.sampling import KDE, stored_models

NAMES = [
    "random",
    *(f"anchor_noise_{scale}" for scale in (0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 1)),
    "average",
    "average_permuted",
    "weight_kde",
    "weight_kde_joint",
    "weight_interpolate",
]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def anchors(cnn_shelf):
    return stored_models(cnn_shelf, np.arange(6))


@pytest.fixture
def residual(resnet_shelf):
    return stored_models(resnet_shelf, np.arange(4))


def outputs(population, images):
    module = population.architecture.build(0).eval()
    logits = []
    for model in range(len(population)):
        module.load_state_dict(population.state(model))
        logits.append(module(images).detach())
    return torch.stack(logits)


def test_every_baseline_is_there_and_draws_what_its_generator_says(cnn_shelf, anchors):
    makers = weight_baselines(cnn_shelf.layout, cnn_shelf.symmetry, 5)
    assert list(makers) == NAMES
    first = {name: make(anchors, rng()) for name, make in makers.items()}
    assert [len(population) for population in first.values()] == [*[5] * 8, 1, 1, 5, 5, 5]
    for name, make in makers.items():
        again, other = make(anchors, rng()), make(anchors, rng(1))
        same = [torch.equal(t, other.tensors[k]) for k, t in first[name].tensors.items()]
        assert all(torch.equal(t, again.tensors[k]) for k, t in first[name].tensors.items())
        assert all(same) is (name == "average")
    assert "average_permuted" not in weight_baselines(cnn_shelf.layout, None, 5)


def test_noise_is_measured_in_the_spread_of_each_tensor(anchors):
    noised = add_noise(anchors[:1], 400, 0.5, rng())
    for name, tensor in anchors.tensors.items():
        gap = noised.tensors[name] - tensor[:1]
        expected = 0.5 * tensor[0].std(correction=0)
        torch.testing.assert_close(gap.std(), expected, rtol=0.1, atol=1e-6)


def test_noise_leaves_buffers_as_they_are(residual):
    noised = add_noise(residual[:1], 3, 0.5, rng())
    for name in ("bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked"):
        assert torch.equal(noised.tensors[name][0], residual.tensors[name][0])
    assert (noised.tensors["fc.weight"] != residual.tensors["fc.weight"][:1]).all()


def test_average_is_the_mean_of_floats_and_the_first_of_integers(residual):
    mean = average(residual)
    assert len(mean) == 1
    for name, tensor in residual.tensors.items():
        expected = tensor.mean(0) if tensor.is_floating_point() else tensor[0]
        torch.testing.assert_close(mean.tensors[name][0], expected)


def test_permuted_models_are_other_weights_with_the_same_function(cnn_shelf, anchors):
    permuted = permute(anchors, cnn_shelf.symmetry, rng())
    images = torch.randn(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(outputs(permuted, images), outputs(anchors, images))
    name = "module_list.9.weight"
    assert (permuted.tensors[name] != anchors.tensors[name]).any()


@pytest.mark.parametrize("draw", ["token", "joint"])
def test_a_density_over_weights_mixes_anchors_only_when_drawn_per_weight(cnn_shelf, anchors, draw):
    drawn = drawn_in_weights(anchors, cnn_shelf.layout, 8, KDE(draw, 0.0), rng())
    flat = cnn_shelf.layout.flatten(drawn.tensors)
    stored = cnn_shelf.layout.flatten(anchors.tensors)
    same = flat[:, None] == stored[None]
    assert same.any(1).all(), "every weight is that of some anchor"
    assert bool(same.all(-1).any(-1).all()) is (draw == "joint")


def test_mixed_weights_lie_between_two_anchors(cnn_shelf, anchors):
    make = weight_baselines(cnn_shelf.layout, None, 8)["weight_interpolate"]
    drawn = cnn_shelf.layout.flatten(make(anchors, rng()).tensors).double()
    stored = cnn_shelf.layout.flatten(anchors.tensors).double()
    for model in drawn:
        share = torch.linalg.lstsq(stored.T, model[:, None]).solution[:, 0]
        torch.testing.assert_close(stored.T @ share, model, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(share.sum(), torch.tensor(1.0).double(), rtol=1e-4, atol=1e-4)
        assert (share > 1e-3).sum() <= 2


def test_a_density_over_weights_keeps_variances_positive(resnet_shelf, residual):
    drawn = drawn_in_weights(residual, resnet_shelf.layout, 20, KDE("token", 50.0), rng())
    assert (drawn.tensors["bn1.running_var"] > 0).all()
    assert drawn.tensors["bn1.num_batches_tracked"].dtype == torch.int64


def test_streams_are_functions_of_seed_and_names():
    draw = [stream_of(*key).random() for key in [(0, "a", "b"), (0, "ab"), (1, "a", "b")]]
    assert len(set(draw)) == 3
    assert draw[0] == stream_of(0, "a", "b").random()
    a, b = (torch_generator(stream_of(0, name)) for name in "ab")
    assert torch.rand(1, generator=a) != torch.rand(1, generator=b)
