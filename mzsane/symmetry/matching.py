"""Weight matching: the permutation that brings one model closest to another.

Coordinate descent of git re-basin (Ainsworth et al. 2022, arXiv:2209.04836): with all groups but
one held still, the best order of that one is a linear assignment problem. A first look at every
group (`mzsane.symmetry.opening`), from the inputs and outputs inwards, trusts only weights whose
other axes are in order already.

Permuted copies come back exactly where channels differ: of CNNs, ResNets and vision transformers
with normal weights all did (40, 12 and 80 draws). Descent can still stop at a local optimum, above
all between models that were trained apart; another `seed` may find a better one.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from mzsane.symmetry.descent import Descent
from mzsane.symmetry.groups import Permutation, Symmetry
from mzsane.symmetry.opening import opening
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
        self._reference = {name: reference[name].detach() for name in symmetry.tensors}
        self._targets = [fold(reference, view) for view in self._plan.views]
        self._opening = opening(self._plan, self._targets)

    def match(self, state: Mapping[str, Tensor], seed: int = 0, rounds: int = 100) -> Permutation:
        """The permutation after which `state` is as similar to the reference as descent finds.

        After the first pass groups are taken in random order, and again whenever one that shares a
        tensor with them has moved, until none moves. Each move raises `similarity`; should it end
        below what it was for `state` itself, descent begins again from there.

        Args:
            state: state dict of a model of the same architecture.
            seed: decides the order of the groups.
            rounds: passes over the groups at most.

        Raises:
            ValueError: a tensor is missing, has another shape or is not finite.
        """
        descent = Descent(self._plan, self._targets, self._reference, state)
        for step in self._opening:
            descent.open(step)
        found = self._descend(descent, seed, rounds)
        moved = self.symmetry.apply(state, found)
        before, after = (similarity(s, self._reference, self.symmetry) for s in (state, moved))
        if after >= before:
            return found
        return self._descend(
            Descent(self._plan, self._targets, self._reference, state), seed, rounds
        )

    def _descend(self, descent: Descent, seed: int, rounds: int) -> Permutation:
        rng = np.random.default_rng([seed])
        waiting = set(range(len(self.symmetry.groups)))
        for _ in range(rounds):
            for group in rng.permutation(sorted(waiting)).tolist():
                waiting.discard(group)
                waiting |= descent.improve(group)
            if not waiting:
                break
        return tuple(descent.permutation)
