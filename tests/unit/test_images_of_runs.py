"""What a run evaluates on: the image sets of its zoo, and those that are asked for."""

import pytest
from omegaconf import OmegaConf

from mzsane.stores import Source
from mzsane.train import images_of


def digits():
    """An image set that is at hand."""


def cifar10():
    raise ValueError("cifar10: it cannot be fetched")


def source(images):
    return Source("a.h5", reader=lambda: iter(()), images=images)


def configured(**more):
    return OmegaConf.create({"evaluation": {"images": more}})


def test_the_zoos_own_images_come_with_those_asked_for():
    extra = {"_target_": "mzsane.images.digits", "_partial_": True}
    sources = {"a": source(digits), "b": source(digits), "c": source(None)}
    images = images_of(configured(extra=extra), sources)
    assert list(images) == ["digits", "extra"]
    assert images["digits"] is digits


def test_images_set_to_null_are_left_out():
    assert images_of(configured(digits=None), {"a": source(digits)}) == {}


def test_images_that_cannot_be_loaded_are_known_before_training():
    with pytest.raises(ValueError, match=r"fetched; \+\+evaluation\.images\.cifar10=null"):
        images_of(configured(), {"a": source(cifar10)})
    assert images_of(configured(cifar10=None), {"a": source(cifar10)}) == {}
