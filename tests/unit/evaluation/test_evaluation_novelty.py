"""Novelty is the distance to the nearest training model, whatever the order of the channels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mzsane.evaluation import Neighbourhood, novelty
from mzsane.evaluation.baselines import add_noise, permute
from mzsane.evaluation.novelty import trained_spans
from mzsane.populations import Population
from mzsane.sampling import stored_models


@pytest.fixture(scope="module")
def neighbourhood(cnn_shelf):
    return Neighbourhood.of(cnn_shelf, cnn_shelf.select("train"))


def moved(population, scale, seed=0):
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: tensor + scale * torch.randn(tensor.shape, generator=generator)
        for name, tensor in population.tensors.items()
    }
    return Population(population.architecture, tensors)


def test_chunks_bound_memory_and_change_nothing(cnn_shelf, neighbourhood, monkeypatch):
    monkeypatch.setattr(novelty, "_chunks", lambda shelf, rows: [slice(0, 3), slice(3, None)])
    again = Neighbourhood.of(cnn_shelf, neighbourhood.rows)
    assert again.spacing == pytest.approx(neighbourhood.spacing)
    torch.testing.assert_close(again.features, neighbourhood.features)


def test_spacing_is_the_mean_distance_to_models_of_other_names(cnn_shelf, neighbourhood):
    rows = neighbourhood.rows
    weights = cnn_shelf.weights.astype(np.float64)
    gaps = [
        min(
            np.linalg.norm(weights[row] - weights[other])
            for other in rows
            if cnn_shelf.models[other] != cnn_shelf.models[row]
        )
        for row in rows
    ]
    assert neighbourhood.spacing == pytest.approx(np.mean(gaps))
    closest_epoch = np.linalg.norm(weights[rows[0]] - weights[rows[1]])
    assert cnn_shelf.models[rows[0]] == cnn_shelf.models[rows[1]]
    assert closest_epoch < 0.5 * neighbourhood.spacing, "epochs are near, and must not count"


def test_a_training_model_is_nearest_to_itself(cnn_shelf, neighbourhood):
    found = neighbourhood.novelty(stored_models(cnn_shelf, neighbourhood.rows))
    assert (found.distance == 0).all()
    assert (found.row == neighbourhood.rows).all()


def test_permuting_channels_hides_no_copy(cnn_shelf, neighbourhood):
    stored = stored_models(cnn_shelf, neighbourhood.rows)
    permuted = permute(stored, cnn_shelf.symmetry, np.random.default_rng(0))
    unmatched = replace(cnn_shelf, symmetry=None)
    assert replace(neighbourhood, shelf=unmatched).novelty(permuted).distance.median() > 0.5
    found = neighbourhood.novelty(permuted)
    exposed = found.distance.numpy() == 0
    assert exposed.mean() > 0.9, "matching is a local search, but rarely fails on a copy"
    assert (found.row == neighbourhood.rows)[exposed].all()


@pytest.mark.parametrize("scale", [0.2, 0.5, 0.8])
def test_permuting_channels_hides_no_noisy_copy(cnn_shelf, neighbourhood, scale):
    stored = stored_models(cnn_shelf, neighbourhood.rows)
    noisy = add_noise(stored, 10, scale, np.random.default_rng(1))
    permuted = permute(noisy, cnn_shelf.symmetry, np.random.default_rng(2))
    plain, found = (neighbourhood.novelty(one).distance for one in (noisy, permuted))
    assert 0.1 < plain.mean() < 1
    torch.testing.assert_close(found, plain, rtol=0, atol=0.02)


def test_distance_is_measured_in_spacings(cnn_shelf, neighbourhood):
    copy = stored_models(cnn_shelf, neighbourhood.rows[:1])
    tensors = {name: tensor.clone() for name, tensor in copy.tensors.items()}
    tensors["module_list.0.weight"][0, 0, 0, 0, 0] += 0.25 * neighbourhood.spacing
    found = neighbourhood.novelty(Population(copy.architecture, tensors))
    assert found.distance.item() == pytest.approx(0.25, rel=1e-4)


def test_novelty_grows_with_noise(cnn_shelf, neighbourhood):
    stored = stored_models(cnn_shelf, neighbourhood.rows)
    means = [neighbourhood.novelty(moved(stored, s)).distance.mean() for s in (0.0, 0.05, 0.3)]
    assert means[0] < means[1] < means[2]


def test_models_that_are_not_finite_are_infinitely_far(cnn_shelf, neighbourhood):
    stored = stored_models(cnn_shelf, neighbourhood.rows[:2])
    stored.tensors["module_list.0.bias"][0, 0] = float("nan")
    assert neighbourhood.novelty(stored).distance.tolist() == [float("inf"), 0.0]


def test_running_statistics_do_not_count(resnet_shelf):
    neighbourhood = Neighbourhood.of(resnet_shelf, np.arange(len(resnet_shelf)))
    stored = stored_models(resnet_shelf, np.array([2]))
    stored.tensors["bn1.running_mean"] += 10
    stored.tensors["layer1.0.bn1.running_var"] *= 100
    assert neighbourhood.novelty(stored).distance.item() == 0.0
    stored.tensors["layer1.0.bn1.weight"] += 1
    assert neighbourhood.novelty(stored).distance.item() > 0.0


def test_spans_cover_the_parameters_and_nothing_else(resnet_shelf):
    spans = trained_spans(resnet_shelf.architecture, resnet_shelf.layout)
    covered = {column for span in spans for column in range(span.start, span.stop)}
    module = resnet_shelf.architecture.build(0)
    assert len(covered) == sum(parameter.numel() for parameter in module.parameters())
    for name, _ in module.named_buffers():
        if name in resnet_shelf.layout.offsets:
            assert resnet_shelf.layout.offsets[name] not in covered


def test_models_of_one_name_have_no_spacing(cnn_shelf):
    rows = np.flatnonzero(cnn_shelf.models == cnn_shelf.models[0])
    assert np.isnan(Neighbourhood.of(cnn_shelf, rows).spacing)
