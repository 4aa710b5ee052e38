"""Whether a permutation leaves a network's function as it was: found by running it in float64."""

import copy
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mzsane.symmetry.groups import Permutation, Symmetry
from mzsane.symmetry.places import Group

TOLERANCE = 1e-9  # relative to the largest output; rounding stays near 1e-14, a wrong group near 1
VISIBLE = 1e-6


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


def refute(witness: Witness, group: Group) -> str | None:
    """Why the group is no symmetry of the network, or None if it is one.

    All permutations are products of the cycle and the swap of two neighbours, so generic weights
    that bear both bear every one; a random permutation is tried besides. Moving some of the places
    but not the others has to change the outputs, or the test would be blind to the group.
    """
    symmetry = Symmetry((group,))
    for source in _generators(group.size):
        change = witness.change(symmetry, (source,))
        if not change <= TOLERANCE:
            return f"permuting it changes the outputs by {change:.1e} of their size"
    if not any(_torn(witness, group, kept) > VISIBLE for kept in range(1, len(group.places))):
        return "its channels do not reach the outputs"
    return None


def trace_error(
    module: nn.Module, example: Tensor, symmetry: Symmetry, permutation: Permutation
) -> float:
    """Largest absolute change of an output, in float64 and evaluation mode, under a permutation.

    Unlike the proof inside `trace` it uses the module's own weights and the example as it is.
    """
    network, inputs = double_copy(module, example)
    state = network.state_dict()
    before = run(network, state, inputs)
    after = run(network, symmetry.apply(state, permutation), inputs)
    return float((after - before).abs().max())


def double_copy(module: nn.Module, example: Tensor) -> tuple[nn.Module, Tensor]:
    """Both on the CPU and, where floating-point, in float64; the network in evaluation mode."""
    network = copy.deepcopy(module).cpu().double().eval()
    inputs = example.detach().cpu()
    return network, inputs.double() if inputs.is_floating_point() else inputs


@torch.no_grad()
def run(network: nn.Module, state: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """The network's output with other weights, which it keeps.

    Raises:
        ValueError: the output is not one tensor of finite values.
    """
    network.load_state_dict({name: tensor.clone() for name, tensor in state.items()})
    outputs = network(inputs)
    if not isinstance(outputs, Tensor) or not bool(outputs.isfinite().all()):
        raise ValueError("its output is not one tensor of finite values")
    return outputs


def _generic(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Random values that keep signals at about one from layer to layer."""
    if not tensor.is_floating_point():
        return tensor
    if name.endswith("running_var"):
        return torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.5
    fan_in = max(1, tensor[0].numel()) if tensor.ndim > 1 else 1
    return torch.randn(tensor.shape, generator=generator, dtype=tensor.dtype) / fan_in**0.5


def _torn(witness: Witness, group: Group, kept: int) -> float:
    """The change when only the first places move."""
    part = Symmetry((Group(group.name, group.size, group.places[:kept]),))
    return witness.change(part, (np.roll(np.arange(group.size), 1),))


def _generators(size: int) -> Iterator[np.ndarray]:
    identity = np.arange(size)
    yield np.roll(identity, 1)
    yield np.r_[1, 0, identity[2:]]
    yield np.random.default_rng(0).permutation(size)
