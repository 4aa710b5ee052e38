"""Weight matching: the permutation that brings one model closest to another.

Coordinate descent of git re-basin (Ainsworth et al. 2022, arXiv:2209.04836): with all groups but
one held still, the best order of that one is a linear assignment problem.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mzsane.symmetry.descent import Descent
from mzsane.symmetry.groups import Permutation, Symmetry
from mzsane.symmetry.views import fold, parameters, plan


def match(
    state: Mapping[str, Tensor],
    reference: Mapping[str, Tensor],
    symmetry: Symmetry,
    seed: int = 0,
    rounds: int = 100,
) -> Permutation:
    """The permutation that aligns one model to another: see `Matcher`, which aligns many."""
    return Matcher(reference, symmetry).match(state, seed, rounds)


def similarity(a: Mapping[str, Tensor], b: Mapping[str, Tensor], symmetry: Symmetry) -> float:
    """What matching increases: the inner product of all parameters that the symmetry moves."""
    return sum(
        float(torch.sum(a[name].double() * b[name].double())) for name in parameters(a, symmetry)
    )


class Matcher:
    """Aligns any number of models to one reference, whose tensors are laid out once.

    Args:
        reference: state dict that the others are brought close to.
        symmetry: the groups of its architecture.

    Raises:
        ValueError: the reference lacks a tensor of the symmetry, or has it in another shape.
    """

    def __init__(self, reference: Mapping[str, Tensor], symmetry: Symmetry) -> None:
        self.symmetry = symmetry
        self._plan = plan(reference, symmetry)
        self._reference = {name: reference[name].detach().double() for name in self._plan.entangled}
        self._targets = [fold(reference, view) for view in self._plan.views]

    def match(self, state: Mapping[str, Tensor], seed: int = 0, rounds: int = 100) -> Permutation:
        """The permutation after which `state` is as similar to the reference as descent finds.

        Groups are taken in random order, and again whenever one that shares a tensor with them
        has moved, until none moves. Each move raises `similarity`.

        Args:
            state: state dict of a model of the same architecture.
            seed: decides the order of the groups.
            rounds: passes over the groups at most.

        Raises:
            ValueError: a tensor is missing, has another shape or is not finite.
        """
        rng = np.random.default_rng([seed])
        descent = Descent(self._plan, self._targets, self._reference, state)
        waiting = set(range(len(self.symmetry.groups)))
        for _ in range(rounds):
            for group in rng.permutation(sorted(waiting)).tolist():
                waiting.discard(group)
                waiting |= descent.improve(group)
            if not waiting:
                break
        return tuple(descent.permutation)
