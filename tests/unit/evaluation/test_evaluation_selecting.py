"""Selection sees validation images and no others."""

import numpy as np
import torch

from mzsane.evaluation.selecting import OnValidation
from mzsane.populations import condition, evaluate
from mzsane.sampling import Gaussian, Selection, encode_rows, select, stored_models


class Trap:
    """Images that nobody may look at."""

    def __getattr__(self, name):
        raise AssertionError(f"looked at test images: {name}")

    __len__ = __getitem__ = __iter__ = lambda self, *_: self.anything


def test_a_selection_never_sees_test_images(cnn_shelf, small_sane, noise_images):
    images = noise_images(cnn_shelf.architecture)
    object.__setattr__(images, "test", Trap())
    model = small_sane(cnn_shelf.layout.d_token)
    anchors = encode_rows(model, cnn_shelf, np.arange(4), 48, 6)
    judge = OnValidation(images.validation, images.train)
    found = select(
        model,
        anchors,
        Selection(Gaussian(), 6, 2, 2),
        judge,
        torch.Generator().manual_seed(0),
        48,
        6,
    )
    assert len(found.scores) == 2


def test_models_are_judged_by_their_accuracy_on_validation_images(cnn_shelf, noise_images):
    images = noise_images(cnn_shelf.architecture)
    population = stored_models(cnn_shelf, np.arange(4))
    wanted = evaluate(population, images.validation).accuracy
    assert torch.equal(OnValidation(images.validation)(population), wanted)
    assert not torch.equal(wanted, evaluate(population, images.test).accuracy)


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
