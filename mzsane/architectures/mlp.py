"""The multilayer perceptron of the published model zoos."""

import itertools
from collections.abc import Sequence
from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from mzsane.architectures.layers import dropout_layers, initialise_weights, nonlinearity_named


class MLP(nn.Module):
    """Linear layers with a nonlinearity, and perhaps dropout, between each two.

    Its parameters are ``module_list.{0,2,4,...}``, or ``module_list.{0,3,6,...}`` with dropout.
    Inputs are flattened first, so it also takes images.

    Args:
        input_shape: shape of one input; only its product matters.
        classes: number of logits.
        width: features of each hidden layer; none make it a linear model.
        nonlinearity: ``tanh``, ``relu``, ``gelu``, ``sigmoid``, ``leakyrelu`` or ``silu``.
        dropout: probability in [0, 1), after every nonlinearity.
        initialisation: ``uniform`` (U(0, 1)), ``normal`` (N(0, 1)), ``kaiming_uniform`` or
            ``kaiming_normal`` for the weights; biases start at 0.01.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (1, 28, 28),
        classes: int = 10,
        width: Sequence[int] = (30, 15),
        nonlinearity: str = "tanh",
        dropout: float = 0.0,
        initialisation: str = "kaiming_uniform",
    ) -> None:
        super().__init__()
        activation = nonlinearity_named(nonlinearity)
        features = [prod(input_shape), *width]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(features):
            layers += [nn.Linear(before, after), activation(), *dropout_layers(dropout)]
        self.module_list = nn.Sequential(*layers, nn.Linear(features[-1], classes))
        initialise_weights(self, initialisation)

    def forward(self, inputs: Float[Tensor, "batch *features"]) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.module_list(inputs.flatten(1))
