"""Finds the permutation groups of a network from the network itself."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mzsane.symmetry.couplings import Coupling, couplings
from mzsane.symmetry.groups import Group, Symmetry
from mzsane.symmetry.proof import Witness, double_copy, refute


def trace(module: nn.Module, example: Tensor) -> Symmetry:
    """The permutation groups of a network, each proven on random weights.

    Works on a copy in float64: the module, its mode and the global random state stay as they are.
    Groups and their places come in the order of the state dict; a group is called after its first
    tensor (``tensor:axis`` where that is not the first axis). Groups of one channel, and channels
    that are the network's outputs, are left out.

    Args:
        module: any network that maps one tensor to one tensor.
        example: a batch of inputs; floating-point ones only lend their shape to the proof.

    Raises:
        ValueError: the network cannot be copied, run or traced.
    """
    with torch.random.fork_rng(devices=[]), _explained(module):
        network, inputs = double_copy(module, example)
        witness = Witness.of(network, inputs)
        candidates = couplings(network, inputs)
        return _proven([c for c in candidates if c.size > 1 and not c.exposed], witness)


def _proven(candidates: list[Coupling], witness: Witness) -> Symmetry:
    groups: list[Group] = []
    rejected: list[str] = []
    taken: set[tuple[str, int]] = set()
    for coupling in candidates:
        group = Group(coupling.name, coupling.size, coupling.places)
        axes = {(place.tensor, place.axis) for place in group.places}
        clash = None if taken.isdisjoint(axes) else "it shares an axis with another group"
        reason = coupling.fault or clash or refute(witness, group)
        if reason is None:
            groups.append(group)
            taken |= axes
        else:
            rejected.append(f"{group.name}: {reason}")
    return Symmetry(tuple(groups), tuple(rejected))


@contextmanager
def _explained(module: nn.Module) -> Iterator[None]:
    # Foreign networks and the tracer fail with exceptions of every kind; the caller gets one kind.
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"{type(module).__name__}: its permutation symmetries cannot be traced "
            f"({type(error).__name__}: {error})"
        ) from error
