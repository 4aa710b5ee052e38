"""Which channels of a network are tied together, read off its dependency graph.

A graph made for structural pruning (Fang et al. 2023, arXiv:2301.12900) knows which channels have
to be removed together: through residual streams, normalisations, flattening. Channels that must
go together must also move together.
"""

from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch_pruning import DependencyGraph, ops

from mzsane.symmetry.groups import Place

ROOTS = (ops.TORCH_CONV, ops.TORCH_LINEAR, ops.TORCH_EMBED)
PER_CHANNEL = (
    ops.TORCH_BATCHNORM,
    ops.TORCH_INSTANCENORM,
    ops.TORCH_GROUPNORM,
    ops.TORCH_LAYERNORM,
    ops.TORCH_PRELU,
)


class Coupling(NamedTuple):
    """Channels tied together, before anything is proven.

    Args:
        size: number of channels.
        places: where they are, in the order of the state dict.
        fault: why they cannot form a group, if that is plain already.
        exposed: they are the network's outputs.
    """

    size: int
    places: tuple[Place, ...]
    fault: str | None
    exposed: bool

    @property
    def name(self) -> str:
        """The first tensor, with the axis unless that is the first as well."""
        first = self.places[0]
        return first.tensor if first.axis == 0 else f"{first.tensor}:{first.axis}"


def couplings(network: nn.Module, inputs: Tensor) -> list[Coupling]:
    """Every set of channels that some layer writes, in the order of the state dict.

    Args:
        network: run once in evaluation mode; all its parameters will ask for gradients.
        inputs: a batch.
    """
    network.requires_grad_(True)
    with torch.enable_grad():
        # in a tuple, for a bare tensor would be unpacked along its batch
        graph = DependencyGraph().build_dependency(network, (inputs,), verbose=False)
    names = _Names(network)
    found: list[Coupling] = []
    covered: set[tuple[str, int]] = set()
    for layer in network.modules():
        if not isinstance(layer, ROOTS) or layer not in graph.module2node:
            continue
        weight, axis = _axes(layer, writes=True)[0]
        if (names.of(weight)[0], axis) not in covered:
            coupling = _coupling(graph, layer, names)
            covered.update((place.tensor, place.axis) for place in coupling.places)
            found.append(coupling)
    return sorted(found, key=lambda coupling: names.rank(coupling.places[0]))


class _Names:
    """State-dict names of tensors by their identity: a tied weight has several."""

    def __init__(self, network: nn.Module) -> None:
        self._names: dict[int, list[str]] = {}
        self._ranks: dict[str, int] = {}
        for rank, (name, tensor) in enumerate(network.state_dict(keep_vars=True).items()):
            self._names.setdefault(id(tensor), []).append(name)
            self._ranks[name] = rank

    def of(self, tensor: Tensor) -> list[str]:
        return self._names[id(tensor)]

    def rank(self, place: Place) -> tuple[int, int]:
        return self._ranks[place.tensor], place.axis


def _coupling(graph: DependencyGraph, root: nn.Module, names: _Names) -> Coupling:
    """What has to move with the channels that `root` writes."""
    pruner = graph.get_pruner_of_module(root)
    size = int(pruner.get_out_channels(root))
    places: set[Place] = set()
    faults: list[str] = []
    exposed = False
    for item in graph.get_pruning_group(root, pruner.prune_out_channels, list(range(size))):
        node, writes = item.dep.target, graph.is_out_channel_pruning_fn(item.dep.handler)
        exposed |= writes and not node.outputs
        for tensor, axis in _axes(node.module, writes, node.pruning_dim):
            grid = _grid(item, size, tensor.shape[axis])
            if grid is None:
                faults.append(f"axis {axis} of {names.of(tensor)[0]} holds other channels as well")
            else:
                places.update(Place(name, axis, *grid) for name in names.of(tensor))
    ordered = tuple(sorted(places, key=names.rank))
    return Coupling(size, ordered, next(iter(faults), None), exposed)


def _axes(layer: Any, writes: bool, dimension: int = -1) -> list[tuple[Tensor, int]]:
    """The tensors of a layer that are indexed by the channels it writes or reads, and their axes.

    None for additions and the like, and for recurrent and attention modules, whose channels are
    not free: without these places the group fails its proof.
    """
    if isinstance(layer, nn.Parameter):
        return [(layer, dimension % layer.ndim)]
    if isinstance(layer, ops.TORCH_CONV | ops.TORCH_LINEAR):
        return _linear_axes(layer, writes)
    if isinstance(layer, ops.TORCH_EMBED):
        return [(layer.weight, 1)]
    if isinstance(layer, PER_CHANNEL):
        tensors = chain(layer.parameters(), layer.buffers())
        # but for the step counter, and the single slope of a shared PReLU
        return [(tensor, tensor.ndim - 1) for tensor in tensors if tensor.numel() > 1]
    return []


def _linear_axes(layer: Any, writes: bool) -> list[tuple[Tensor, int]]:
    out_axis = 1 if getattr(layer, "transposed", False) else 0
    if ops.module2type(layer) == ops.OPTYPE.DEPTHWISE_CONV:
        writes, out_axis = True, 0
    if not writes:
        return [(layer.weight, 1 - out_axis)]
    bias = [] if layer.bias is None else [(layer.bias, 0)]
    return [(layer.weight, out_axis), *bias]


def _grid(item: Any, size: int, length: int) -> tuple[int, int] | None:
    """`outer` and `block` of the channels along an axis; None if they do not fill it in order."""
    if item.root_idxs is None or None in item.root_idxs or max(item.idxs) >= length:
        return None
    channel = np.full(length, -1)
    channel[item.idxs] = item.root_idxs
    if length % size or channel.min() < 0:
        return None
    block = int((channel != channel[0]).argmax()) if size > 1 else length
    outer = length // (size * block) if block else 0
    grid = np.tile(np.repeat(np.arange(size), block), outer)
    return (outer, block) if np.array_equal(grid, channel) else None
