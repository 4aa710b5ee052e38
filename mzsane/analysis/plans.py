"""What is probed, and how."""

from collections.abc import Sequence
from typing import NamedTuple

from mzsane.analysis.features import FEATURES
from mzsane.analysis.members import Columns
from mzsane.analysis.regressors import REGRESSORS
from mzsane.analysis.targets import Target, targets_of


class Plan(NamedTuple):
    """What is probed, and how.

    Attributes:
        targets: as in `targets_of`.
        features: some of `FEATURES`.
        regressors: some of `REGRESSORS`.
        resamples: of the bootstrap.
        seed: of bootstrap, boosting and networks.
    """

    targets: Sequence[str] | None
    features: Sequence[str]
    regressors: Sequence[str]
    resamples: int
    seed: int


def wanted_of(plan: Plan, columns: Columns) -> list[Target]:
    """The targets of a plan; needs no embeddings, so that mistakes can be told before these.

    Raises:
        ValueError: unknown targets, features or regressors.
    """
    for key, given, known in (
        ("features", plan.features, FEATURES),
        ("regressors", plan.regressors, REGRESSORS),
    ):
        if not given or set(given) - set(known):
            raise ValueError(f"{key}={list(given)}: choose from {', '.join(known)}")
    return targets_of(columns, plan.targets)
