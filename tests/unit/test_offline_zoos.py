"""The zoos that need no download can be built as they are configured."""

import inspect

import pytest
import torch
from test_config import configure

from mzsane.checking import check
from mzsane.config import CONF_DIR, build

ZOOS = [
    path.stem
    for path in sorted((CONF_DIR / "zoo").glob("*.yaml"))
    if "/source@sources." in path.read_text() and ": built" in path.read_text()
]


@pytest.mark.parametrize("zoo", ZOOS)
def test_a_built_zoo_trains_networks_that_take_its_images(zoo):
    """`preprocess zoo=...` gets as far as the images, whatever the architecture has to vary."""
    ((name, source),) = configure(f"zoo={zoo}", name="preprocess").zoo.sources.items()
    builder = build(source.builder)
    shape = inspect.signature(builder.images).parameters["shape"].default
    assert name == zoo
    assert builder.num_models <= len(builder.trials)
    for trial in builder.trials[:2]:
        assert trial.architecture.input_shape == tuple(shape)
        network = trial.architecture.build(trial.model_seed).eval()
        assert network(torch.zeros(1, *shape)).shape == (1, 10)


def test_everything_that_can_be_built_offline_is_in_one_composition():
    assert {"digits", "mnist5k", "shapes", "digits_vit", "digits_hyp"} <= set(ZOOS)
    offline = configure("zoo=offline", name="preprocess").zoo.sources
    assert set(offline) == set(ZOOS) - {"digits_hyp"}


def test_how_many_models_are_built_is_said_once_for_all():
    counts = {
        name: build(source.builder).num_models
        for name, source in configure(
            "zoo=offline", "zoo.build_models=3", name="preprocess"
        ).zoo.sources.items()
    }
    assert counts == dict.fromkeys(counts, 3)
    assert configure(name="build_zoo").zoo_builder.num_models > 3


@pytest.mark.parametrize("zoo", ["architectures", "digits+shapes", "[printed,digits_hyp]"])
def test_the_fast_run_takes_any_of_them(zoo):
    cfg = configure("debug=fast", f"zoo={zoo}")
    check(cfg)
    assert {source.builder.num_models for source in cfg.zoo.sources.values()} == {12}
