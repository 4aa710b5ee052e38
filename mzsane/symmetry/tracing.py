"""Finds the permutation groups of a network from the network itself."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from mzsane.symmetry.couplings import Coupling, couplings
from mzsane.symmetry.groups import Symmetry
from mzsane.symmetry.places import Group, compatible
from mzsane.symmetry.proof import refute
from mzsane.symmetry.running import double_copy
from mzsane.symmetry.witness import Witness


def trace(module: nn.Module, example: Tensor) -> Symmetry:
    """The permutation groups of a network, each proven on random weights.

    Works on a copy in float64: the module, its mode and the global random state stay as they are.
    Groups and their places come in the order of the state dict; a group is called after its first
    tensor (``tensor:axis`` where that is not the first axis, and a number where two have the same).
    Groups of one channel, and channels that are the network's inputs or outputs, are left out.

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
        return _proven(candidates, witness)


def _proven(candidates: Sequence[Coupling], witness: Witness) -> Symmetry:
    """The candidates that leave the function as it is; the others are rejected with a reason."""
    groups = [Group(each.name, each.size, each.places) for each in candidates]
    reasons = {at: each.fault for at, each in enumerate(candidates) if each.fault}
    kept: list[int] = []
    while waiting := [at for at in range(len(groups)) if at not in reasons and at not in kept]:
        tried = _compatible(groups, waiting, kept, reasons)
        refuted = refute(witness, [groups[at] for at in tried])
        reasons |= {tried[at]: reason for at, reason in refuted.items()}
        kept += [at for at in tried if at not in reasons]
    rejected = (f"{groups[at].name}: {reasons[at]}" for at in sorted(reasons))
    return Symmetry(_named([groups[at] for at in sorted(kept)]), tuple(rejected))


def _compatible(
    groups: Sequence[Group], waiting: Sequence[int], kept: Sequence[int], reasons: dict[int, str]
) -> list[int]:
    """Those that wait and can be tried together; what overlaps with a kept one never will."""
    tried: list[int] = []
    for at in waiting:
        if reason := _clash(groups[at], [groups[other] for other in kept]):
            reasons[at] = reason
        elif not _clash(groups[at], [groups[other] for other in tried]):
            tried.append(at)
    return tried


def _named(groups: Sequence[Group]) -> tuple[Group, ...]:
    """With a number behind the names of groups that begin with a tensor like one before."""
    seen: Counter[str] = Counter()
    named = []
    for group in groups:
        seen[group.name] += 1
        taken = seen[group.name]
        named.append(replace(group, name=f"{group.name} ({taken})") if taken > 1 else group)
    return tuple(named)


def _clash(group: Group, others: Sequence[Group]) -> str | None:
    pairs = ((place, each) for each in (group, *others) for place in group.places)
    for place, each in pairs:
        for other in each.places:
            if other != place and not compatible(place, group.size, other, each.size):
                return f"it overlaps with another group on axis {place.axis} of {place.tensor}"
    return None


def verify(module: nn.Module, example: Tensor, symmetry: Symmetry) -> None:
    """Proves every group of a symmetry on random weights, for groups given by hand.

    Args:
        module: a network of the architecture.
        example: a batch of inputs; floating-point ones only lend their shape to the proof.
        symmetry: what is claimed of it.

    Raises:
        ValueError: a group changes the outputs or lacks a tensor, or the network cannot be run.
    """
    with torch.random.fork_rng(devices=[]):
        witness = Witness.of(*double_copy(module, example))
    for at, reason in refute(witness, symmetry.groups).items():
        name = symmetry.groups[at].name
        raise ValueError(f"symmetry group {name} of {type(module).__name__}: {reason}")


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
