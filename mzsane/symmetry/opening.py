"""In which order matching looks at the groups for the first time, and at what of each."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mzsane.symmetry.views import Plan


class Step(NamedTuple):
    """A look at one group.

    Args:
        group: its index.
        views: indices of those that tell its order.
        known: the groups whose orders were found before.
    """

    group: int
    views: Sequence[int]
    known: frozenset[int]


def opening(plan: Plan, targets: Sequence[np.ndarray]) -> list[Step]:
    """A look at every group, the surest first.

    A view depends on the orders of its partners and says little before these are known. Next is
    always the group with the largest share of its squared weights in views that do speak; where
    none does, as for heads and the features in them, it has to do with all.

    Args:
        plan: of the architecture.
        targets: the reference as each view sees it.
    """
    weights = [float(np.vdot(target, target)) for target in targets]
    steps: list[Step] = []
    waiting = list(range(len(plan.own)))
    while waiting:
        known = frozenset(step.group for step in steps)
        telling = [[i for i in plan.own[at] if plan.views[i].partners <= known] for at in waiting]
        shares = [
            sum(weights[i] for i in views) / (sum(weights[i] for i in plan.own[at]) or 1.0)
            for at, views in zip(waiting, telling, strict=True)
        ]
        best = int(np.argmax(shares))
        group = waiting.pop(best)
        steps.append(Step(group, telling[best] or plan.own[group], known))
    return steps
