"""Weight matching: the permutation that brings one model closest to another.

Coordinate descent of git re-basin (Ainsworth et al. 2022, arXiv:2209.04836): with all groups but
one held still, the best order of that one is a linear assignment problem.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mzsane.symmetry.groups import Permutation, Symmetry
from mzsane.symmetry.views import Plan, fold, parameters, plan

GAIN = 1e-6  # relative to the largest cost: less is float32 rounding and might never end
FEW = 0.6  # share of an axis up to which changing a cost is cheaper than computing it


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
        descent = _Descent(self._plan, self._targets, self._reference, state)
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
    channel of the model (columns). It is kept, with the order that its partners had; when only
    some of their channels have moved since, only these are multiplied again.
    """

    def __init__(
        self,
        plan: Plan,
        targets: Sequence[np.ndarray],
        reference: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
    ) -> None:
        self.permutation = list(plan.symmetry.identity())
        self._plan, self._targets, self._reference = plan, targets, reference
        self._models = [fold(state, view) for view in plan.views]
        self._state = {name: state[name].detach() for name in plan.entangled}
        self._costs: dict[int, tuple[np.ndarray, dict[int, np.ndarray]]] = {}
        self._stale = set(range(len(plan.views)))
        if not all(np.isfinite(model).all() for model in self._models):
            raise ValueError("state dict: NaN or infinite weights cannot be matched")

    def improve(self, group: int) -> frozenset[int]:
        """Puts one group in its best order; returns the groups for which that changes anything."""
        mine, entangled = self._plan.own[group], self._plan.torn[group]
        if not mine:  # it moves statistics only
            return frozenset()
        cost = sum(self._cost(index) for index in mine)
        order = linear_sum_assignment(cost, maximize=True)[1]
        if entangled:
            free = [i for i in mine if self._plan.views[i].place.tensor not in entangled]
            gain = self._gain(sum((self._cost(i) for i in free), np.zeros_like(cost)), group, order)
            gain += sum(self._whole_gain(name, group, order) for name in entangled)
        else:
            gain = self._gain(cost, group, order)
        if gain <= GAIN * np.abs(cost).max():
            return frozenset()
        self.permutation[group] = order
        self._stale |= self._plan.dependent[group]
        return self._plan.neighbours[group]

    def _gain(self, cost: np.ndarray, group: int, order: np.ndarray) -> float:
        return _trace(cost, order) - _trace(cost, self.permutation[group])

    def _whole_gain(self, name: str, group: int, order: np.ndarray) -> float:
        """Of a tensor that the group moves in several ways at once, which no single cost tells."""
        symmetry, groups = self._plan.entangled[name]
        values = []
        for mine in (order, self.permutation[group]):
            orders = tuple(mine if each == group else self.permutation[each] for each in groups)
            moved = symmetry.apply({name: self._state[name]}, orders)[name]
            values.append(float((self._reference[name] * moved.double()).sum()))
        return values[0] - values[1]

    def _cost(self, index: int) -> np.ndarray:
        if index not in self._stale:
            return self._costs[index][0]
        self._stale.discard(index)
        maps = self._plan.views[index].maps(self.permutation)
        if index in self._costs:
            cost, before = self._costs[index]
            moved = [axis for axis in maps if not np.array_equal(maps[axis], before[axis])]
            if not moved:
                return cost
            entries = np.flatnonzero(maps[moved[0]] != before[moved[0]])
            if len(moved) == 1 and len(entries) < FEW * len(maps[moved[0]]):
                cost = cost + self._change(index, maps, before, moved[0], entries)
                self._costs[index] = cost, maps
                return cost
        cost = _products(self._targets[index], _taken(self._models[index], maps))
        self._costs[index] = cost, maps
        return cost

    def _change(
        self,
        index: int,
        maps: Mapping[int, np.ndarray],
        before: Mapping[int, np.ndarray],
        axis: int,
        entries: np.ndarray,
    ) -> np.ndarray:
        """What some entries of one axis, having moved, change in the cost of a view."""
        new, old = (
            _taken(self._models[index], {**each, axis: each[axis][entries]})
            for each in (maps, before)
        )
        return _products(self._targets[index].take(entries, axis), new - old)


def _taken(folded: np.ndarray, maps: Mapping[int, np.ndarray]) -> np.ndarray:
    for axis, source in maps.items():
        folded = folded.take(source, axis)
    return folded


def _products(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return rows.reshape(len(rows), -1) @ columns.reshape(len(columns), -1).T


def _trace(cost: np.ndarray, order: np.ndarray) -> float:
    return float(cost[np.arange(len(order)), order].sum(dtype=np.float64))
