"""Selection sees validation images and no others."""

import numpy as np
import pytest
import torch

from mzsane.evaluation import Study, selected, selecting
from mzsane.evaluation.baselines import add_noise
from mzsane.evaluation.selected import best_with_noise, weights_of
from mzsane.evaluation.selecting import OnValidation
from mzsane.populations import condition, evaluate
from mzsane.sampling import Gaussian, Selection, stored_models


def test_selections_of_a_study_see_validation_images_and_no_others(
    resnet_store, small_sane, noise_images, monkeypatch
):
    images = noise_images(resnet_store.architectures[0].architecture)
    seen = {}

    def spy(name, own):
        def call(population, split, *rest, **named):
            seen.setdefault(name, []).append(split)
            return own(population, split, *rest, **named)

        return call

    for module, name in ((selecting, "condition"), (selecting, "evaluate"), (selected, "evaluate")):
        monkeypatch.setattr(module, name, spy((module, name), getattr(module, name)))
    study = Study(
        {"residual": resnet_store},
        {"noise": lambda: images},
        {"subsample": Selection(Gaussian(), 3, 2)},
        methods=[
            "anchors_best_validation",
            "greedy_soup",
            "anchor_noise_0.5_selected",
            "subsample",
        ],
        noise_candidates=3,
        num_anchors=3,
        num_samples=2,
        workers=1,
    )
    assert study.run(small_sane(resnet_store.d_token))
    assert len(seen) == 3
    assert all(split is images.validation for splits in seen.values() for split in splits)


def test_models_are_judged_by_their_accuracy_on_validation_images(cnn_shelf, noise_images):
    images = noise_images(cnn_shelf.architecture)
    population = stored_models(cnn_shelf, np.arange(4))
    wanted = evaluate(population, images.validation).accuracy
    assert torch.equal(OnValidation(images.validation)(population), wanted)
    assert not torch.equal(wanted, evaluate(population, images.test).accuracy)


def test_the_best_with_noise_are_the_best_of_the_same_noise(cnn_shelf, noise_images, monkeypatch):
    images, layout = noise_images(cnn_shelf.architecture), cnn_shelf.layout
    anchors = stored_models(cnn_shelf, np.arange(3))
    judge = OnValidation(images.validation)
    all_of_them = add_noise(anchors, 12, 0.5, np.random.default_rng(1))
    scores = judge(all_of_them)
    best = scores.argsort(descending=True, stable=True)[:4]
    kept = best_with_noise(anchors, layout, 4, 12, 0.5, judge, np.random.default_rng(1))
    assert torch.equal(kept.scores, scores[best])
    assert kept.indices.tolist() == best.tolist()
    models = weights_of(kept.latents, anchors, layout)
    for name, tensor in models.tensors.items():
        assert torch.equal(tensor, all_of_them.tensors[name][best]), name
    monkeypatch.setattr("mzsane.sampling.selecting.TOGETHER", 2 * layout.parameters)
    few = best_with_noise(anchors, layout, 4, 12, 0.5, judge, np.random.default_rng(1))
    assert few.scores.tolist() == sorted(few.scores.tolist(), reverse=True)
    again = judge(weights_of(few.latents, anchors, layout))
    assert torch.equal(again, few.scores)


def test_fewer_candidates_with_noise_than_models_are_refused(cnn_store, noise_images):
    images = noise_images(cnn_store.architectures[0].architecture)
    with pytest.raises(ValueError, match=r"evaluation.noise_candidates=2: fewer than the 3 models"):
        Study({"a": cnn_store}, {"b": lambda: images}, {}, num_samples=3, noise_candidates=2)


def test_running_statistics_are_made_before_models_are_judged(resnet_shelf, noise_images):
    images = noise_images(resnet_shelf.architecture)
    population = stored_models(resnet_shelf, np.arange(2))
    for name, tensor in population.tensors.items():
        if name.endswith("running_mean"):
            tensor.fill_(torch.nan)
    ready = condition(population, images.train)
    judged = OnValidation(images.validation, images.train)(population)
    assert torch.equal(judged, evaluate(ready, images.validation).accuracy)


def test_models_are_judged_on_the_device_that_is_asked_for(cnn_shelf, noise_images, monkeypatch):
    """Tensors on the meta device are on none, but say where they were put."""
    images, seen = noise_images(cnn_shelf.architecture), []
    population = stored_models(cnn_shelf, np.arange(4))

    def conditioned(models, split, workers):
        seen.append(models.device.type)
        return models

    def evaluated(models, split, workers):
        seen.append(models.device.type)
        return evaluate(population, split, workers)

    monkeypatch.setattr("mzsane.evaluation.selecting.condition", conditioned)
    monkeypatch.setattr("mzsane.evaluation.selecting.evaluate", evaluated)
    OnValidation(images.validation, images.train, device="meta")(population)
    assert seen == ["meta", "meta"]
