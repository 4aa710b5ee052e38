"""What the zoos' networks are put together from: nonlinearities and initialisations by name."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

NONLINEARITIES: Mapping[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
    "leakyrelu": nn.LeakyReLU,
    "silu": nn.SiLU,
}

# "uniform" is U(0, 1) and "normal" N(0, 1), whatever the fan-in: so the published zoos began.
INITIALISATIONS: Mapping[str, Callable[..., Any]] = {
    "uniform": nn.init.uniform_,
    "normal": nn.init.normal_,
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "kaiming_normal": nn.init.kaiming_normal_,
}


def nonlinearity_named(name: str) -> Callable[[], nn.Module]:
    """The constructor of a nonlinearity.

    Raises:
        ValueError: the name is unknown.
    """
    return _lookup(NONLINEARITIES, name, "nonlinearity")


def dropout_layer(probability: float) -> nn.Dropout:
    """A dropout layer.

    Raises:
        ValueError: the probability lies outside [0, 1).
    """
    if not 0 <= probability < 1:
        raise ValueError(f"dropout: {probability} is not a probability in [0, 1)")
    return nn.Dropout(probability)


def dropout_layers(probability: float) -> list[nn.Module]:
    """One dropout layer, or none at all at probability 0, as in the published networks.

    Raises:
        ValueError: the probability lies outside [0, 1).
    """
    return [dropout_layer(probability)] if probability != 0 else []


def initialise_weights(module: nn.Module, initialisation: str) -> None:
    """Draws every convolution's and linear layer's weights anew; their biases become 0.01.

    Raises:
        ValueError: the initialisation's name is unknown.
    """
    draw = _lookup(INITIALISATIONS, initialisation, "initialisation")
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            draw(layer.weight)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.01)


def _lookup(
    choices: Mapping[str, Callable[..., Any]], name: str, argument: str
) -> Callable[..., Any]:
    if name not in choices:
        raise ValueError(f"{argument}: {name!r} is unknown; choose one of {', '.join(choices)}")
    return choices[name]
