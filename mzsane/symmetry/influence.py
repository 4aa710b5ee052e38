"""Whether a network's outputs depend on the channels of a group at all."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mzsane.symmetry.groups import Permutation, Symmetry
from mzsane.symmetry.places import Group, Place
from mzsane.symmetry.witness import Witness

VISIBLE = 1e-6  # relative to the largest output


def slopes(witness: Witness) -> dict[str, Tensor]:
    """Gradients of a random sum of the outputs in units of the largest, where there are any."""
    network = witness.network.requires_grad_(True)
    network.load_state_dict(witness.state)
    parameters = dict(network.named_parameters(remove_duplicate=False))
    with torch.enable_grad():
        outputs = network(witness.inputs)
    if not outputs.requires_grad:
        return {}
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(outputs.shape, generator=generator, dtype=outputs.dtype)
    found = torch.autograd.grad(
        outputs, list(parameters.values()), weights / outputs.abs().max(), allow_unused=True
    )
    return {name: slope for name, slope in zip(parameters, found, strict=True) if slope is not None}


def reaches(witness: Witness, gradients: Mapping[str, Tensor], group: Group) -> bool:
    """Whether moving some places of a group but not the others changes the outputs.

    One place is moved alone, to first order. Where no gradient tells, as before a step function or
    in buffers, the network runs with the first places moved.
    """
    return any(
        abs(_slope(witness, gradients[place.tensor], group, place)) > VISIBLE
        for place in group.places
        if place.tensor in gradients
    ) or any(
        witness.change(*_moved(group, group.places[:kept])) > VISIBLE
        for kept in range(1, len(group.places))
    )


def _slope(witness: Witness, gradient: Tensor, group: Group, place: Place) -> float:
    tensor = witness.state[place.tensor]
    symmetry, cycle = _moved(group, (place,))
    moved = symmetry.apply({place.tensor: tensor}, cycle)[place.tensor]
    return float((gradient * (moved - tensor)).sum())


def _moved(group: Group, places: tuple[Place, ...]) -> tuple[Symmetry, Permutation]:
    """The cycle of all channels, at some places only."""
    part = Symmetry((Group(group.name, group.size, places),))
    return part, (np.roll(np.arange(group.size), 1),)
