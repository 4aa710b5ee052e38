"""Align a small CNN and a ResNet-18 to a reference of their architecture."""

from collections.abc import Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from benchmarks.inputs import CNN, RESNET18, state_of, symmetry_of
from benchmarks.results import Measurement, Settings
from benchmarks.timing import alternate
from mzsane.architectures import Architecture
from mzsane.symmetry import Group, Permutation, Symmetry, match

PLAIN = "every group solved anew in every round, from a permuted copy of the whole model"
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def run(settings: Settings) -> list[Measurement]:
    """Milliseconds a model; two random networks, laid out and matched from nothing."""
    return [
        _measure("align a CNN (2,464 weights)", CNN, settings.seed, settings.repeats, 2),
        _measure("align a ResNet-18", RESNET18, settings.seed, settings.few, 1000),
    ]


def _measure(
    name: str, architecture: Architecture, seed: int, repeats: int, target: float
) -> Measurement:
    state, reference = state_of(architecture, seed), state_of(architecture, seed + 1)
    symmetry = symmetry_of(architecture)
    own, plain = alternate(
        lambda: match(state, reference, symmetry),
        lambda: plain_match(state, reference, symmetry),
        repeats,
    )
    return Measurement(name, "ms", own.times(1e3), plain.times(1e3), target, PLAIN)


def plain_match(
    state: Mapping[str, Tensor], reference: Mapping[str, Tensor], symmetry: Symmetry
) -> Permutation:
    """Weight matching as in its paper (arXiv:2209.04836, algorithm 1)."""
    permutation, rng, moving = list(symmetry.identity()), np.random.default_rng(0), True
    while moving:
        moving = False
        for at in rng.permutation(len(symmetry.groups)).tolist():
            group = symmetry.groups[at]
            others = [*permutation]
            others[at] = np.arange(group.size)
            cost = _cost(symmetry.apply(state, tuple(others)), reference, group)
            order = linear_sum_assignment(cost, maximize=True)[1]
            channels = np.arange(group.size)
            gain = cost[channels, order].sum() - cost[channels, permutation[at]].sum()
            if gain > 1e-6 * np.abs(cost).max():
                permutation[at], moving = order, True
    return tuple(permutation)


def _cost(state: Mapping[str, Tensor], reference: Mapping[str, Tensor], group: Group) -> np.ndarray:
    """Inner products of every channel of the reference with every channel of the model."""
    cost = np.zeros((group.size, group.size), np.float32)
    for name, axis, outer, block, *_ in group.places:  # whole axes, in these networks
        if not name.endswith(STATISTICS):
            rows, columns = (
                each[name].movedim(axis, 0).reshape(outer, group.size, block, -1)
                .transpose(0, 1).reshape(group.size, -1).numpy()
                for each in (reference, state)
            )  # fmt: skip
            cost += rows @ columns.T
    return cost
