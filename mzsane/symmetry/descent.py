"""One model on its way to another, group by group."""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mzsane.symmetry.opening import Step
from mzsane.symmetry.views import Plan, fold

GAIN = 1e-6  # relative to the largest cost: less is float32 rounding and might never end
FEW = 0.6  # share of an axis up to which changing a cost is cheaper than computing it


class Descent:
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

    def open(self, step: Step) -> None:
        """Puts one group in the order that some of its views tell, whatever the others say."""
        if step.views:
            cost = np.sum([self._told(index, step.known) for index in step.views], axis=0)
            self._move(step.group, linear_sum_assignment(cost, maximize=True)[1])

    def improve(self, group: int) -> frozenset[int]:
        """Puts one group in its best order; returns the groups for which that changes anything."""
        mine = self._plan.own[group]
        if not mine:  # it moves statistics only
            return frozenset()
        cost = self._sum(mine)
        order = linear_sum_assignment(cost, maximize=True)[1]
        if self._gain(cost, group, order) <= GAIN * np.abs(cost).max():
            return frozenset()
        self._move(group, order)
        return self._plan.neighbours[group]

    def _told(self, index: int, known: frozenset[int]) -> np.ndarray:
        """The cost of a view; along axes whose order is not known yet, of the sorted entries."""
        view = self._plan.views[index]
        if view.partners <= known:
            return self._cost(index)
        arrays = [self._targets[index], _taken(self._models[index], view.maps(self.permutation))]
        for axis, acting in view.others:
            if not known.issuperset(group for group, _ in acting):
                arrays = [np.sort(array, axis) for array in arrays]
        return _products(*arrays)

    def _move(self, group: int, order: np.ndarray) -> None:
        self.permutation[group] = order
        self._stale |= self._plan.dependent[group]

    def _gain(self, cost: np.ndarray, group: int, order: np.ndarray) -> float:
        """What a new order adds to the similarity."""
        entangled = self._plan.torn[group]
        if entangled:
            views = [i for i in self._plan.own[group] if self._tensor(i) not in entangled]
            cost = self._sum(views) if views else np.zeros_like(cost)
        gain = _trace(cost, order) - _trace(cost, self.permutation[group])
        return gain + sum(self._whole_gain(name, group, order) for name in entangled)

    def _whole_gain(self, name: str, group: int, order: np.ndarray) -> float:
        """Of a tensor that the group moves in several ways at once, which no single cost tells."""
        symmetry, groups = self._plan.entangled[name]
        values = []
        for mine in (order, self.permutation[group]):
            orders = tuple(mine if each == group else self.permutation[each] for each in groups)
            moved = symmetry.apply({name: self._state[name]}, orders)[name]
            values.append(float((self._reference[name].double() * moved.double()).sum()))
        return values[0] - values[1]

    def _tensor(self, index: int) -> str:
        return self._plan.views[index].place.tensor

    def _sum(self, views: Sequence[int]) -> np.ndarray:
        return np.sum([self._cost(index) for index in views], axis=0)

    def _cost(self, index: int) -> np.ndarray:
        if index in self._stale:
            self._stale.discard(index)
            self._costs[index] = self._renewed(index)
        return self._costs[index][0]

    def _renewed(self, index: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
        """The cost of a view and what it depends on, from the cost before if that is close."""
        maps = self._plan.views[index].maps(self.permutation)
        if index in self._costs:
            cost, before = self._costs[index]
            moved = [axis for axis in maps if not np.array_equal(maps[axis], before[axis])]
            if not moved:
                return cost, before
            entries = np.flatnonzero(maps[moved[0]] != before[moved[0]])
            if len(moved) == 1 and len(entries) < FEW * len(maps[moved[0]]):
                return cost + self._change(index, maps, before, moved[0], entries), maps
        return _products(self._targets[index], _taken(self._models[index], maps)), maps

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
