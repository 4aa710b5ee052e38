"""Networks run in float64, on copies, with weights of one's choice."""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mzsane.symmetry.groups import Permutation, Symmetry


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
    network = copy.deepcopy(module, _computed(module)).cpu().double().eval()
    inputs = example.detach().cpu()
    return network, inputs.double() if inputs.is_floating_point() else inputs


@torch.no_grad()
def run(network: nn.Module, state: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """The network's output with other weights, which it keeps.

    Raises:
        ValueError: the output is not one tensor of finite values.
    """
    network.load_state_dict(state)
    outputs = network(inputs)
    if not isinstance(outputs, Tensor) or not bool(outputs.isfinite().all()):
        raise ValueError("its output is not one tensor of finite values")
    return outputs


def _computed(module: nn.Module) -> dict[int, Tensor]:
    """Copies of the tensors that modules computed and keep as attributes.

    PyTorch refuses to copy them; `torch.nn.utils.weight_norm` leaves a weight of this kind, which
    it computes anew whenever the network runs.
    """
    return {
        id(value): value.detach().clone()
        for each in module.modules()
        for value in vars(each).values()
        if isinstance(value, Tensor) and not value.is_leaf
    }
