"""The networks have the names and sizes of the published zoos."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mzsane.architectures import CNN, MLP, ResNet18

GOLDEN = Path(__file__).parents[2] / "golden"


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("network", "checkpoint", "shape"),
    [
        (CNN(), "conv_net", (1, 28, 28)),
        (CNN(channels_in=3), "conv_net_rgb", (3, 28, 28)),
        (ResNet18(width=4), "slim_resnet18", (3, 32, 32)),
    ],
)
def test_published_checkpoints_load_and_run(network, checkpoint, shape):
    network.load_state_dict(load_file(GOLDEN / f"checkpoint_{checkpoint}.safetensors"))
    assert network.eval()(torch.ones(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(("channels_in", "weights"), [(1, 2464), (3, 2864)])
def test_the_small_cnn_has_the_published_number_of_weights(channels_in, weights):
    assert count(CNN(channels_in=channels_in)) == weights


@pytest.mark.parametrize(
    ("classes", "weights"), [(10, 11_173_962), (100, 11_220_132), (200, 11_271_432)]
)
def test_the_resnet_has_the_published_number_of_weights(classes, weights):
    with torch.device("meta"):
        network = ResNet18(classes=classes)
    assert count(network) == weights
    assert len(network.state_dict()) == 122
    assert sum(buffer.numel() for buffer in network.buffers()) == 9_620


@pytest.mark.parametrize(("dropout", "layers"), [(0.0, (0, 3, 6, 9, 11)), (0.3, (0, 4, 8, 11, 14))])
def test_dropout_shifts_the_names_of_the_cnn(dropout, layers):
    weights = [name for name in CNN(dropout=dropout).state_dict() if name.endswith("weight")]
    assert weights == [f"module_list.{layer}.weight" for layer in layers]


def test_the_mlp_has_the_published_size_and_names():
    network = MLP((14,), classes=10, width=(30, 15), dropout=0.5)
    assert count(network) == 1075
    assert [name for name in network.state_dict() if "weight" in name] == [
        f"module_list.{layer}.weight" for layer in (0, 3, 6)
    ]
    assert network(torch.ones(5, 14)).shape == (5, 10)


def test_images_of_other_sizes_fit_a_cnn_made_for_them():
    network = CNN(image_size=(32, 20))
    assert network(torch.ones(2, 1, 32, 20)).shape == (2, 10)


@pytest.mark.parametrize(
    ("initialisation", "mean", "spread"), [("uniform", 0.5, 12**-0.5), ("normal", 0.0, 1.0)]
)
def test_initialisations_have_the_published_moments(initialisation, mean, spread):
    weight = MLP(initialisation=initialisation).module_list[0].weight
    assert weight.mean().item() == pytest.approx(mean, abs=0.03)
    assert weight.std().item() == pytest.approx(spread, rel=0.03)


@pytest.mark.parametrize("network", [CNN, MLP, ResNet18])
def test_biases_start_at_a_hundredth(network):
    layers = [x for x in network().modules() if isinstance(x, nn.Conv2d | nn.Linear)]
    biases = torch.cat([layer.bias for layer in layers if layer.bias is not None])
    assert torch.equal(biases, torch.full_like(biases, 0.01))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"nonlinearity": "silly"}, "nonlinearity: 'silly'"),
        ({"initialisation": "zeros"}, "initialisation: 'zeros'"),
        ({"width": (8, 6)}, "width"),
        ({"image_size": (19, 28)}, "image_size"),
        ({"dropout": 1.0}, "dropout: 1.0"),
    ],
)
def test_a_wrong_argument_is_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        CNN(**arguments)
