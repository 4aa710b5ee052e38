"""Steps of the optimizers for many models at once, each with its own settings.

The models are the rows of a matrix of all parameters, so that a step is a few operations however
many tensors a network has. The numbers are those of `torch.optim`.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

Rows = Float[Tensor, "models parameters"]
Column = Float[Tensor, "models 1"]

BETAS, EPS = (0.9, 0.999), 1e-8  # torch's defaults, with which the published zoos were trained


class Settings(NamedTuple):
    """Of the optimizer, for each model."""

    lr: Column
    weight_decay: Column
    momentum: Column


Update = Callable[[Rows, Rows, dict[str, Rows], Settings, int], None]


def sgd(
    parameters: Rows, gradients: Rows, memory: dict[str, Rows], settings: Settings, step: int
) -> None:
    """Momentum without dampening: ``v = m v + g + d p``, ``p -= lr v``.

    Args:
        parameters: changed in place.
        gradients: overwritten.
        memory: ``velocity``, changed in place.
        settings: of each model.
        step: counted from 1.
    """
    gradients += settings.weight_decay * parameters
    velocity = memory["velocity"].mul_(settings.momentum).add_(gradients)
    parameters -= settings.lr * velocity


def adam(
    parameters: Rows, gradients: Rows, memory: dict[str, Rows], settings: Settings, step: int
) -> None:
    """Kingma and Ba, arXiv:1412.6980, with decay added to the gradient; arguments as in `sgd`.

    The memory is ``mean`` and ``square``.
    """
    gradients += settings.weight_decay * parameters
    parameters -= _adaptive(gradients, memory, settings, step)


def adamw(
    parameters: Rows, gradients: Rows, memory: dict[str, Rows], settings: Settings, step: int
) -> None:
    """Adam with the decay apart from it (arXiv:1711.05101): first ``p *= 1 - lr d``."""
    parameters *= 1 - settings.lr * settings.weight_decay
    parameters -= _adaptive(gradients, memory, settings, step)


def _adaptive(gradients: Rows, memory: dict[str, Rows], settings: Settings, step: int) -> Rows:
    """The step against the mean gradient, measured in the root of its mean square."""
    first, second = BETAS
    mean = memory["mean"].lerp_(gradients, 1 - first)
    square = memory["square"].mul_(second).addcmul_(gradients, gradients, value=1 - second)
    spread = (square.sqrt() / (1 - second**step) ** 0.5).add_(EPS)
    return settings.lr / (1 - first**step) * mean / spread


UPDATES: dict[str, tuple[Update, tuple[str, ...]]] = {
    "adam": (adam, ("mean", "square")),
    "adamw": (adamw, ("mean", "square")),
    "sgd": (sgd, ("velocity",)),
}
"""By the names of `Recipe.optimizer`: what updates, and what it remembers of each parameter."""
