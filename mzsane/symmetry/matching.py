"""Weight matching: the permutation that brings one model closest to another.

Coordinate descent of git re-basin (Ainsworth et al. 2022, arXiv:2209.04836): with all groups but
one held still, the best order of that one is a linear assignment problem.
"""

from collections.abc import Mapping

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mzsane.symmetry.groups import Permutation, Symmetry, along_axis
from mzsane.symmetry.views import View, fold, parameters, views

GAIN = 1e-6  # relative to the largest cost: less is float32 rounding and might never end


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
        self._views = views(reference, symmetry)
        self._rows = [_rows(fold(reference, view)) for view in self._views]

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
        descent = _Descent(self._views, self._rows, state, self.symmetry.identity())
        waiting = set(range(len(self.symmetry.groups)))
        for _ in range(rounds):
            for group in rng.permutation(sorted(waiting)).tolist():
                waiting.discard(group)
                waiting |= descent.improve(group)
            if not waiting:
                break
        return tuple(descent.permutation)


class _Descent:
    """One model on its way to the reference.

    The cost of a view is the inner product of every channel of the reference (rows) with every
    channel of the model (columns); it is kept until a partner moves.
    """

    def __init__(
        self,
        views: list[View],
        rows: list[np.ndarray],
        state: Mapping[str, Tensor],
        start: Permutation,
    ) -> None:
        self.permutation = list(start)
        self._views = views
        self._rows = rows
        self._models = [fold(state, view) for view in views]
        self._costs: dict[int, np.ndarray] = {}
        if not all(np.isfinite(model).all() for model in self._models):
            raise ValueError("state dict: NaN or infinite weights cannot be matched")

    def improve(self, group: int) -> set[int]:
        """Puts one group in its best order; returns the groups for which that changes anything."""
        mine = [index for index, view in enumerate(self._views) if view.group == group]
        cost = np.sum([self._cost(index) for index in mine], axis=0)
        order = linear_sum_assignment(cost, maximize=True)[1]
        gain = self._value(mine, group, order) - self._value(mine, group, self.permutation[group])
        if gain <= GAIN * np.abs(cost).max():
            return set()
        self.permutation[group] = order
        stale = [index for index, view in enumerate(self._views) if group in view.partners]
        for index in stale:
            self._costs.pop(index, None)
        return {self._views[index].group for index in stale}

    def _value(self, mine: list[int], group: int, order: np.ndarray) -> float:
        """Similarity of the group's tensors, were its channels in this order."""
        total = 0.0
        for index in mine:
            if group in self._views[index].partners:
                # the group moves two axes of this tensor, and each of its two views sees it all
                total += 0.5 * _trace(self._pair(index, {group: order}), order)
            else:
                total += _trace(self._cost(index), order)
        return total

    def _cost(self, index: int) -> np.ndarray:
        if index not in self._costs:
            self._costs[index] = self._pair(index, {})
        return self._costs[index]

    def _pair(self, index: int, changed: Mapping[int, np.ndarray]) -> np.ndarray:
        """The cost of a view, its partners in their present order or a `changed` one."""
        model = self._models[index]
        for group, place, axis in self._views[index].others:
            model = model.take(along_axis(changed.get(group, self.permutation[group]), place), axis)
        return self._rows[index] @ _rows(model).T


def _rows(folded: np.ndarray) -> np.ndarray:
    return folded.reshape(len(folded), -1)


def _trace(cost: np.ndarray, order: np.ndarray) -> float:
    return float(cost[np.arange(len(order)), order].sum(dtype=np.float64))
