"""Training one network on images held in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mzsane.images import Split

SHUFFLING = 3  # purpose of the random draw, see docs/design.md

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Args:
        optimizer: its name.
        lr: learning rate, the peak under a schedule.
        weight_decay: as the optimizer understands it.
        momentum: of SGD.
        batch_size: images a step; the last images of an epoch that fill no batch are left out.
        epochs: passes over the images.
        scheduler: ``none`` keeps the rate, ``onecycle`` follows Smith and Topin (arXiv:1708.07120).

    Raises:
        ValueError: an unknown name, or a size below 1.
    """

    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    batch_size: int = 50
    epochs: int = 10
    scheduler: Literal["none", "onecycle"] = "none"

    def __post_init__(self) -> None:
        """Refuse what cannot train."""
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer={self.optimizer}: choose from {', '.join(OPTIMIZERS)}")
        if self.scheduler not in ("none", "onecycle"):
            raise ValueError(f"scheduler={self.scheduler}: choose none or onecycle")
        if self.batch_size < 1 or self.epochs < 1:
            raise ValueError(
                f"batch_size={self.batch_size}, epochs={self.epochs}: each must be 1 or more"
            )


def fit(
    network: nn.Module,
    split: Split,
    recipe: Recipe,
    seed: int,
    after_epoch: Callable[[int, float], None],
) -> None:
    """Train in place with cross-entropy; the global random state stays as it was.

    Epoch `e` shows the images in an order that is a function of (seed, e). Dropout draws from a
    stream that the seed names, too.

    Args:
        network: to be trained, where it lies.
        split: images and labels.
        recipe: how.
        seed: of this network.
        after_epoch: called with the number of finished epochs, from 0 (nothing trained yet), and
            the mean training loss of that epoch in nats (NaN for epoch 0).

    Raises:
        ValueError: if the images do not fill one batch.
    """
    steps = len(split.images) // recipe.batch_size
    if not steps:
        raise ValueError(
            f"{len(split.images)} images do not fill a batch of {recipe.batch_size}; "
            "lower recipe.batch_size"
        )
    optimizer = _optimizer(network, recipe)
    rate = _schedule(recipe, steps)
    after_epoch(0, float("nan"))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for epoch in range(recipe.epochs):
            rng = np.random.default_rng([seed, SHUFFLING, epoch])
            shuffled = rng.permutation(len(split.images))[: steps * recipe.batch_size]
            total = 0.0
            network.train()
            for step, chosen in enumerate(np.split(shuffled, steps)):
                optimizer.param_groups[0]["lr"] = rate(epoch * steps + step)
                total += _step(network, optimizer, split, torch.from_numpy(chosen))
            after_epoch(epoch + 1, total / steps)


def _step(
    network: nn.Module, optimizer: torch.optim.Optimizer, split: Split, chosen: torch.Tensor
) -> float:
    loss = cross_entropy(network(split.images[chosen]), split.labels[chosen])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    extra = {"momentum": recipe.momentum} if recipe.optimizer == "sgd" else {}
    return OPTIMIZERS[recipe.optimizer](
        network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True, **extra
    )


def _schedule(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """Learning rate of each step: constant, or up for 30 % of the run and down, by cosines."""
    if recipe.scheduler == "none":
        return lambda step: recipe.lr
    total = recipe.epochs * steps
    peak = 0.3 * total

    def cosine(step: int) -> float:
        rising = step < peak
        low = recipe.lr / (25 if rising else 1e4)
        share = step / peak if rising else (total - step) / (total - peak)
        return float(low + (recipe.lr - low) * (1 - np.cos(np.pi * share)) / 2)

    return cosine
