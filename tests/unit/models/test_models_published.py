"""Published weights load and give the published outputs."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mzsane.models import Sane

GOLDEN = Path(__file__).parents[2] / "golden"


def published():
    return load_file(GOLDEN / "autoencoder_weights.safetensors")


def test_published_weights_give_the_published_outputs():
    golden = load_file(GOLDEN / "autoencoder_forward.safetensors")
    model = Sane.from_published(published(), heads=4)
    latents, values = model(golden["x"], golden["position"])
    torch.testing.assert_close(latents, golden["z"], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(values, golden["y"], atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(model.project(latents), golden["projection"], atol=2e-6, rtol=1e-5)


def test_sizes_follow_from_the_shapes():
    expected = json.loads((GOLDEN / "golden.json").read_text())["autoencoder"]
    model = Sane.from_published(published(), heads=4)
    assert model.num_parameters == expected["parameters"]
    assert model.window == expected["config"]["training::windowsize"]
    model.check_positions([n - 1 for n in expected["config"]["ae:max_positions"]])


def test_loading_leaves_the_random_state_and_the_weights_alone():
    state, before = published(), torch.get_rng_state()
    model = Sane.from_published(state, heads=4)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        model.embed.weight.zero_()
    assert state["tokenizer.weight"].any()
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop("pe.pe2.weight"),
        lambda s: s.pop("tokenizer.bias"),
        lambda s: s.update(extra=torch.zeros(1)),
        lambda s: s.update({"tokenizer.bias": torch.zeros(3)}),
    ],
    ids=["no positions", "no bias", "extra", "shape"],
)
def test_other_weights_are_refused(change):
    state = published()
    change(state)
    with pytest.raises(ValueError, match="not a published SANE model"):
        Sane.from_published(state, heads=4)
