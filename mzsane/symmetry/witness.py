"""A network with generic weights, which tells true symmetries from false ones."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from mzsane.symmetry.groups import Permutation, Symmetry
from mzsane.symmetry.running import run


class Witness(NamedTuple):
    """A network with generic weights, and what it answers: enough to refute a false group."""

    network: nn.Module
    state: dict[str, Tensor]
    inputs: Tensor
    outputs: Tensor

    @classmethod
    def of(cls, network: nn.Module, example: Tensor, seed: int = 0) -> "Witness":
        """Random weights, statistics and inputs in the shapes of a float64 network and example.

        Raises:
            ValueError: the network's output is not one tensor of finite values.
        """
        generator = torch.Generator().manual_seed(seed)
        state = {
            name: _generic(name, tensor, generator) for name, tensor in network.state_dict().items()
        }
        inputs = example
        if example.is_floating_point():
            inputs = torch.randn(example.shape, generator=generator, dtype=example.dtype)
        return cls(network, state, inputs, run(network, state, inputs))

    def change(self, symmetry: Symmetry, permutation: Permutation) -> float:
        """Largest change of an output under a permutation, relative to the largest output."""
        permuted = symmetry.apply(self.state, permutation)
        difference = run(self.network, permuted, self.inputs) - self.outputs
        return float(difference.abs().max() / self.outputs.abs().max())


def _generic(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Random values that keep signals at about one from layer to layer."""
    if not tensor.is_floating_point():
        return tensor
    if name.endswith("running_var"):
        return torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.5
    fan_in = max(1, tensor[0].numel()) if tensor.ndim > 1 else 1
    return torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) / fan_in**0.5
