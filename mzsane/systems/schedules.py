"""Learning rates over the steps of a run, as shares of the optimizer's own.

Each is a function of the step number alone, so that it resumes exactly; OneCycle, the published
one, is torch's.
"""

import math
from collections.abc import Callable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(optimizer: Optimizer, total_steps: int, warmup: float = 0.0) -> LambdaLR:
    """Rises linearly over the first `warmup` of all steps, then stays.

    Args:
        optimizer: whose learning rates are scaled.
        total_steps: optimizer steps of the run.
        warmup: share of the steps, in [0, 1].

    Raises:
        ValueError: if `warmup` is no share.
    """
    _check_shares(warmup=warmup)
    return _scheduled(optimizer, total_steps, warmup, lambda done: 1.0)


def cosine(
    optimizer: Optimizer, total_steps: int, warmup: float = 0.05, floor: float = 0.0
) -> LambdaLR:
    r"""Rises linearly, then falls along half a cosine (SGDR without restarts, arXiv:1608.03983).

    .. math:: f + (1 - f) \frac{1 + \cos \pi s}{2}

    with the floor :math:`f` and the share :math:`s` of the steps after the warm-up.

    Args:
        optimizer: whose learning rates are scaled.
        total_steps: optimizer steps of the run.
        warmup: share of the steps, in [0, 1].
        floor: of the learning rate, as a share of it.

    Raises:
        ValueError: if `warmup` or `floor` is no share.
    """
    _check_shares(warmup=warmup, floor=floor)
    return _scheduled(
        optimizer,
        total_steps,
        warmup,
        lambda done: floor + (1 - floor) * (1 + math.cos(math.pi * done)) / 2,
    )


def warmup_stable_decay(
    optimizer: Optimizer,
    total_steps: int,
    warmup: float = 0.05,
    decay: float = 0.2,
    floor: float = 0.0,
) -> LambdaLR:
    """Rises linearly, stays, and falls linearly over the last steps (arXiv:2404.06395).

    Args:
        optimizer: whose learning rates are scaled.
        total_steps: optimizer steps of the run.
        warmup: share of the steps, in [0, 1].
        decay: share of the steps; with `warmup` at most 1.
        floor: of the learning rate, as a share of it.

    Raises:
        ValueError: if one is no share, or warm-up and decay are more than all steps.
    """
    _check_shares(warmup=warmup, floor=floor, decay=decay)
    if warmup + decay > 1:
        raise ValueError(f"scheduler: warmup={warmup} and decay={decay} are more than all steps")
    falling = decay / (1 - warmup) if decay else 0.0

    def scale(done: float) -> float:
        left = (1 - done) / falling if falling else 1.0
        return floor + (1 - floor) * min(1.0, left)

    return _scheduled(optimizer, total_steps, warmup, scale)


def _scheduled(
    optimizer: Optimizer, total_steps: int, warmup: float, after: Callable[[float], float]
) -> LambdaLR:
    """A linear rise, then `after` of the share of the remaining steps; no step stands still."""
    rise = round(warmup * total_steps)

    def scale(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return after(min((step - rise) / max(total_steps - rise, 1), 1.0))

    return LambdaLR(optimizer, scale)


def _check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ValueError(f"scheduler.{name}={share}: a share between 0 and 1 is needed")
