"""A state dict of the field's networks is recognised, and nothing else is mistaken for one."""

import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.architectures import Architecture
from mzsane.zoos import assumed, recognise, telling

TANH = {"model::nlin": "tanh"}


def network(name, arguments=None, input_shape=(1, 28, 28), classes=10):
    return Architecture(f"mzsane.architectures.{name}", arguments or {}, input_shape, classes)


PUBLISHED = {
    "MNIST": (network("CNN"), TANH | {"model::o_dim": 4.0, "model::type": "CNN"}),
    "CIFAR-10 small": (
        network("CNN", {"nonlinearity": "gelu"}, (3, 28, 28)),
        {"model::nlin": "gelu", "model::init_type": "kaiming_uniform"},
    ),
    "MNIST with dropout": (
        network("CNN", {"dropout": 0.5, "nonlinearity": "sigmoid"}),
        {"model::nlin": "sigmoid", "model::dropout": 0.5},
    ),
    "SVHN with dropout": (
        network("CNN", {"dropout": 0.3}),
        TANH | {"model::dropout": 0.3},
    ),
    "leaky": (network("CNN", {"nonlinearity": "leakyrelu"}), {"model::nlin": "leakyrelu"}),
    "larger with SiLU": (
        network("CNN3", {"nonlinearity": "silu"}, (3, 32, 32)),
        {"model::nlin": "silu"},
    ),
    "CNN2": (network("CNN2", {}, (3, 28, 28)), TANH | {"model::type": "CNN2"}),
    "CIFAR-10 large": (
        network("CNN3", {"dropout": 0.5}, (3, 32, 32)),
        {"model::nlin": "gelu", "model::dropout": 0.5},
    ),
    "LeNet": (network("LeNet5", {}, (3, 32, 32)), TANH),
    "perceptron": (network("MLP", {"width": [30, 15]}, (1, 1, 14)), TANH),
    "perceptron with dropout": (
        network("MLP", {"dropout": 0.2, "nonlinearity": "relu"}, (3, 32, 32)),
        {"model::nlin": "relu", "model::dropout": 0.2},
    ),
    "linear": (network("MLP", {"width": []}), TANH),
    "CIFAR-100": (network("ResNet18", {"width": 8}, (3, 32, 32), 100), {"model::nlin": "relu"}),
    "Tiny-ImageNet": (network("ResNet18", {"width": 8}, (3, 64, 64), 200), {}),
    "phase transitions": (
        network("ResNet18", {"width": 2, "stem": "imagenet"}, (3, 32, 32)),
        {"model::type": "Resnet18_width", "model::width": 2.0},
    ),
    "slim": (network("ResNet18", {"width": 8, "shortcut": "shortcut"}, (3, 32, 32), 37), {}),
    "transformer": (
        network("PrefixedViT", {"patch_size": 16, "width": 128, "heads": 2}, (3, 224, 224), 100),
        {"model::type": "vit_s_16", "model::patch_size": 16.0},
    ),
    "transformer with a head": (
        network("PrefixedViT", {"width": 64, "heads": 1, "head": [9], "head_nonlinearity": "gelu"}),
        {"model::head::mlp": 1.0, "model::head::nlin": "gelu"},
    ),
    "small transformer": (network("ViT"), {"model::heads": 4.0}),
}


@pytest.mark.parametrize("zoo", PUBLISHED)
def test_a_published_network_is_rebuilt_with_the_same_function(zoo):
    architecture, properties = PUBLISHED[zoo]
    trained = architecture.build(seed=1).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = recognise(trained.state_dict(), properties)
    rebuilt = found.build(seed=2).eval()
    rebuilt.load_state_dict(trained.state_dict(), strict=True)
    images = torch.randn(2, *architecture.input_shape)
    with torch.no_grad():
        assert torch.equal(rebuilt(images), trained(images))
    assert (found.target, found.input_shape) == (architecture.target, architecture.input_shape)
    assert found.classes == architecture.classes
    assert "initialisation" not in found.arguments


@pytest.mark.parametrize("dropout", [0.1, 0.3])
def test_dropout_is_what_the_zoo_says(dropout):
    state = network("CNN3", {}, (3, 32, 32)).build().state_dict()
    assert recognise(state, TANH | {"model::dropout": dropout}).arguments["dropout"] == dropout


@pytest.mark.parametrize(("built", "said", "found"), [(0.0, 0.5, 0.0), (0.5, 0.0, 0.5)])
def test_names_of_tensors_outweigh_what_is_said_of_dropout(built, said, found):
    state = network("CNN", {"dropout": built}).build().state_dict()
    assert recognise(state, TANH | {"model::dropout": said}).arguments["dropout"] == found


@pytest.mark.parametrize(("name", "default"), [("CNN", "tanh"), ("CNN3", "gelu")])
def test_an_assumed_nonlinearity_is_said(name, default):
    state = network(name, {}, (3, 32, 32)).build().state_dict()
    found = recognise(state, {})
    assert found.arguments["nonlinearity"] == default
    assert assumed(found, {}) == [f"nonlinearity={default}", "images of 3 x 32 x 32"]
    assert assumed(found, TANH) == ["images of 3 x 32 x 32"]


def test_other_properties_than_the_telling_ones_change_nothing():
    state = network("ViT", {"patch_size": 4, "width": 64, "depth": 1, "heads": 4}).build()
    properties = {"model::heads": 4, "model::nlin": "gelu", "model::seed": 5, "test_acc": 0.5}
    found = recognise(state.state_dict(), properties)
    assert found == recognise(state.state_dict(), telling(properties))
    assert assumed(found, properties) == assumed(found, telling(properties))
    assert "heads=1" in assumed(recognise(state.state_dict(), {}), {})


def test_epochs_and_seeds_of_a_zoo_are_one_architecture():
    first, second = (
        recognise(network("CNN").build(seed).state_dict(), TANH | {"seed": float(seed)})
        for seed in (1, 2)
    )
    assert first == second


UNKNOWN = {
    "one tensor more": lambda state: state | {"module_list.11.scale": torch.ones(1)},
    "one tensor less": lambda state: {n: t for n, t in state.items() if "11.bias" not in n},
    "another shape": lambda state: state | {"module_list.9.weight": torch.ones(20, 35)},
    "other names": lambda state: {f"net.{name}": tensor for name, tensor in state.items()},
    "nothing": lambda state: {},
}


@pytest.mark.parametrize("change", UNKNOWN)
def test_a_network_that_differs_is_not_recognised(change):
    state = dict(network("CNN").build().state_dict())
    assert recognise(UNKNOWN[change](state), TANH) is None


@pytest.mark.parametrize(
    ("name", "arguments", "properties"),
    [
        ("CNN", {}, {"model::nlin": "prelu"}),  # has a weight of its own
        ("ResNet18", {"width": 2}, {"model::nlin": "gelu"}),
        ("ViT", {}, {}),  # 32 features do not tell their heads
    ],
)
def test_a_function_that_ours_cannot_be_is_not_guessed(name, arguments, properties):
    assert recognise(network(name, arguments).build().state_dict(), properties) is None


NAMES = [
    *[f"module_list.{at}.weight" for at in (0, 3, 6)],
    *["conv1.weight", "fc.weight", "layer2.0.shortcut.0.weight"],
    *["vit.cls_token", "vit.pos_embed", "vit.patch_embed.proj.weight", "vit.head.weight"],
    *["cls_token", "pos_embed", "patch_embed.proj.weight", "head.weight", "blocks.0.norm1.weight"],
]
SHAPES = st.lists(st.integers(0, 9), max_size=4)


@settings(deadline=None, max_examples=100)
@given(shapes=st.dictionaries(st.sampled_from(NAMES), SHAPES))
def test_no_state_dict_is_too_strange_to_be_declined(shapes):
    state = {name: torch.zeros(shape) for name, shape in shapes.items()}
    found = recognise(state, TANH)
    assert found is None or found.build().load_state_dict(state, strict=True)
