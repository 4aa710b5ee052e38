"""How networks are trained: optimizer, batches, and the learning rate of every step."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

Rates = Float[np.ndarray, " steps"]

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Args:
        optimizer: ``adam``, ``adamw`` or ``sgd``.
        lr: learning rate, the peak under a schedule.
        weight_decay: as the optimizer understands it.
        momentum: of SGD.
        batch_size: images a step; the last images of an epoch that fill no batch are left out.
        epochs: passes over the images.
        scheduler: ``none`` keeps the rate, ``cosine`` lowers it to 0 (Loshchilov and Hutter,
            arXiv:1608.03983, without restarts), ``onecycle`` raises it for 30 % of the run and
            lowers it again (Smith and Topin, arXiv:1708.07120).

    Raises:
        ValueError: an unknown name, a size below 1, or a negative rate.
    """

    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    batch_size: int = 50
    epochs: int = 10
    scheduler: str = "none"

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        for key, known in (("optimizer", OPTIMIZERS), ("scheduler", SCHEDULERS)):
            if getattr(self, key) not in known:
                choices = ", ".join(known)
                raise ValueError(f"recipe.{key}={getattr(self, key)}: choose one of {choices}")
        for key in ("batch_size", "epochs"):
            if getattr(self, key) < 1:
                raise ValueError(f"recipe.{key}={getattr(self, key)}: take 1 or more")
        for key in ("lr", "weight_decay", "momentum"):
            if getattr(self, key) < 0:
                raise ValueError(f"recipe.{key}={getattr(self, key)}: take 0 or more")


def learning_rates(recipe: Recipe, steps: int) -> Rates:
    """The learning rate of every step of a run.

    Args:
        recipe: names the schedule and its peak.
        steps: of the whole run.
    """
    return recipe.lr * SCHEDULERS[recipe.scheduler](steps)


def steps_an_epoch(recipe: Recipe, images: int) -> int:
    """How many whole batches there are.

    Raises:
        ValueError: if the images do not fill one batch.
    """
    if images < recipe.batch_size:
        raise ValueError(
            f"recipe.batch_size={recipe.batch_size}: the split's {images} images do not fill one "
            "batch; take a smaller one"
        )
    return images // recipe.batch_size


def _cosine(steps: int) -> Rates:
    """Half a wave from 1 towards 0, which is what would follow the last step."""
    return _between(1.0, 0.0, np.arange(steps) / steps)


def _one_cycle(steps: int) -> Rates:
    """From 1/25 up to 1 and down to 1/250,000, with the numbers of `torch`'s ``OneCycleLR``."""
    step, top = np.arange(steps), 0.3 * steps - 1
    rising = _between(1 / 25, 1.0, step / top)
    falling = _between(1.0, 1 / 25e4, (step - top) / (steps - 1 - top))
    return np.where(step <= top, rising, falling)


def _between(start: float, end: float, share: Rates) -> Rates:
    """Along half a wave of the cosine, by the share of the way."""
    return end + (start - end) * (1 + np.cos(np.pi * share)) / 2


SCHEDULERS: dict[str, Callable[[int], Rates]] = {
    "none": np.ones,
    "cosine": _cosine,
    "onecycle": _one_cycle,
}
