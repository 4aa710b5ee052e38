"""Which channels of a network are tied together, read off one run of it.

Channels that meet in an operation must move together: through residual streams, normalisations,
flattening, concatenations, the heads of attention. The network runs once, operation by operation,
while the axes of its parameters and activations are unified (`mzsane.symmetry.axes`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from mzsane.symmetry.axes import Axis, Part, unify
from mzsane.symmetry.moving import cut_some
from mzsane.symmetry.operators import result
from mzsane.symmetry.places import Place
from mzsane.symmetry.values import CHOSEN, SPATIAL, Value

INPUTS = "it is tied to the network's inputs"
OUTPUTS = "it is tied to the network's outputs"
SPLITS = ("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk")


class Coupling(NamedTuple):
    """Channels tied together, before anything is proven.

    Args:
        size: number of channels.
        places: where they are, in the order of the state dict.
        fault: why they cannot form a group, if that is plain already.
    """

    size: int
    places: tuple[Place, ...]
    fault: str

    @property
    def name(self) -> str:
        """The first tensor, with the axis unless that is the first as well."""
        first = self.places[0]
        return first.tensor if first.axis == 0 else f"{first.tensor}:{first.axis}"


def couplings(network: nn.Module, inputs: Tensor) -> list[Coupling]:
    """Every set of channels that at least two axes share, in the order of the state dict.

    Args:
        network: run once in evaluation mode; all its parameters will ask for gradients.
        inputs: a batch.
    """
    # with gradients, for without them attention modules take shortcuts that hide what they do
    network.requires_grad_(True)
    tensors = network.state_dict(keep_vars=True)
    with torch.enable_grad(), _Recorder() as recorder:
        for tensor in tensors.values():
            recorder.axes_of(tensor)
        recorder.fix(inputs, INPUTS)
        recorder.fix(network(inputs), OUTPUTS)
    return _collect({name: recorder.axes_of(tensor) for name, tensor in tensors.items()})


class _Recorder(TorchDispatchMode):
    """Follows the axes of all tensors through the operations of a run.

    A tensor is known by the memory that it reads, because views come back as new objects.
    """

    def __init__(self) -> None:
        super().__init__()
        self._axes: dict[tuple[Any, ...], list[Axis]] = {}
        self._alive: list[Tensor] = []  # or their memory would be used again

    def axes_of(self, tensor: Tensor) -> list[Axis]:
        """Of a tensor seen before, or new ones."""
        key = _memory(tensor)
        if key not in self._axes:
            self._alive.append(tensor)
            self._axes[key] = [Axis(size) for size in tensor.shape]
        return self._axes[key]

    def fix(self, tensor: Tensor, reason: str) -> None:
        """The entries of all its axes are told apart by their order."""
        for axis in self.axes_of(tensor):
            axis.fix(reason)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        """Runs one operation and records its results."""
        name = func.overloadpacket.__name__
        arguments = _convert([*args, *(kwargs or {}).values()], self)
        outputs = func(*args, **(kwargs or {}))
        several = outputs if isinstance(outputs, tuple | list) else [outputs]
        results = [tensor for tensor in several if isinstance(tensor, Tensor)]
        if name in SPLITS:
            self._split(arguments, results)
        elif results and not (name.endswith("_") and _memory(results[0]) in self._axes):
            axes = result(name, arguments, tuple(results[0].shape))
            for tensor in results if name == "unbind" else results[:1]:
                self._set(tensor, axes)
        elif results:
            self._update(name, arguments, results[0])
        return outputs

    def _set(self, tensor: Tensor, axes: list[Axis]) -> None:
        self._alive.append(tensor)
        self._axes[_memory(tensor)] = axes

    def _update(self, name: str, arguments: list[Any], tensor: Tensor) -> None:
        """An operation in place: the old entries and the new ones share their axes."""
        for axis, new in zip(
            self.axes_of(tensor), result(name, arguments, tuple(tensor.shape)), strict=True
        ):
            if axis.size == new.size and axis.resolve() is not new.resolve():
                unify(axis, new)

    def _split(self, arguments: list[Any], results: list[Tensor]) -> None:
        value, along = arguments[0], (arguments[2] if len(arguments) > 2 else 0)
        along %= len(value.axes)
        parts = cut_some(value.axes[along], [tensor.shape[along] for tensor in results])
        for tensor, part in zip(results, parts, strict=True):
            axes = list(value.axes)
            axes[along] = part
            self._set(tensor, axes)


def _memory(tensor: Tensor) -> tuple[Any, ...]:
    storage = tensor.untyped_storage().data_ptr()
    return storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _convert(argument: Any, recorder: _Recorder) -> Any:
    """Arguments with a `Value` in place of each tensor, and lists for tuples."""
    if isinstance(argument, Tensor):
        return Value(recorder.axes_of(argument))
    if isinstance(argument, tuple | list):
        return [_convert(each, recorder) for each in argument]
    return argument


def _collect(tensors: Mapping[str, list[Axis]]) -> list[Coupling]:
    places: dict[int, list[Place]] = {}
    leaves: dict[int, Axis] = {}
    for name, axes in tensors.items():
        for at, axis in enumerate(axes):
            for part in axis.leaves():
                if part.axis.size > 1:
                    leaves[id(part.axis)] = part.axis
                    places.setdefault(id(part.axis), []).append(_place(name, at, axis, part))
    return [
        Coupling(leaf.size, tuple(places[key]), leaf.pin)
        for key, leaf in leaves.items()
        if len(places[key]) > 1 and _worthy(leaf, places[key])
    ]


def _place(name: str, at: int, axis: Axis, part: Part) -> Place:
    extent = part.outer * part.axis.size * part.block
    length = axis.size if part.offset + extent < axis.size else 0
    return Place(name, at, part.outer, part.block, part.offset, length)


def _worthy(leaf: Axis, places: Sequence[Place]) -> bool:
    """Positions, choices and outputs are no channels; inputs are if some layer writes them too."""
    if leaf.pin in (SPATIAL, CHOSEN, OUTPUTS):
        return False
    return leaf.pin != INPUTS or any(place.axis == 0 for place in places)
