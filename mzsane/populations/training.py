"""Training one network on images held in memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR

from mzsane.images import Split
from mzsane.populations.engines import quickest_order

SHUFFLING, DROPPING = 3, 5  # purposes of the random draws, see docs/design.md

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
SCHEDULERS = ("none", "onecycle")


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
        scheduler: ``none`` keeps the rate, ``onecycle`` raises it for 30 % of the run and lowers
            it again (Smith and Topin, arXiv:1708.07120).

    Raises:
        ValueError: an unknown name, or a size below 1.
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


def fit(
    network: nn.Module,
    split: Split,
    recipe: Recipe,
    seed: int,
    after_epoch: Callable[[int], None],
) -> None:
    """Train in place with cross-entropy; the global random state stays as it was.

    The order of images in an epoch, and what dropout draws in it, are functions of (seed, epoch).
    Our own networks run with the channels last in memory, for speed; values and shapes are not
    touched by that.

    Args:
        network: to be trained, where it lies.
        split: images and labels.
        recipe: how.
        seed: of this network.
        after_epoch: called with the number of finished epochs, from 0 (nothing trained yet). It
            may switch the network to evaluation mode.

    Raises:
        ValueError: if the images do not fill one batch.
    """
    steps = len(split.images) // recipe.batch_size
    if not steps:
        raise ValueError(
            f"recipe.batch_size={recipe.batch_size}: the split's {len(split.images)} images do "
            "not fill one batch; take a smaller one"
        )
    network.to(memory_format=quickest_order(network))
    split = Split(*(tensor.to(next(network.parameters()).device) for tensor in split))
    optimizer = _optimizer(network, recipe)
    scheduler = _scheduler(optimizer, recipe, steps)
    after_epoch(0)
    for epoch in range(recipe.epochs):
        _train_epoch(network, split, recipe.batch_size, optimizer, scheduler, [seed, epoch])
        after_epoch(epoch + 1)
    network.to(memory_format=torch.contiguous_format)


def _train_epoch(
    network: nn.Module,
    split: Split,
    batch_size: int,
    optimizer: torch.optim.Optimizer,
    scheduler: LRScheduler | None,
    key: list[int],
) -> None:
    """One pass over the images, in the order that the key names."""
    order = np.random.default_rng([SHUFFLING, *key]).permutation(len(split.images))
    batches = torch.from_numpy(order).to(split.images.device).split(batch_size)
    network.train()
    with _dropping(split.images.device, key):
        for batch in batches[: len(order) // batch_size]:
            images, labels = (
                split.images.index_select(0, batch),
                split.labels.index_select(0, batch),
            )
            loss = cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()


@contextmanager
def _dropping(device: torch.device, key: list[int]) -> Iterator[None]:
    """Dropout as the key names it: it knows only the global generator of its device.

    Those of other devices are left alone; to save the state of an idle GPU's would wake it.
    """
    on_gpu = device.type == "cuda"
    generator = torch.cuda.default_generators[device.index] if on_gpu else torch.default_generator
    with torch.random.fork_rng([device] if on_gpu else []):
        generator.manual_seed(int(np.random.SeedSequence([DROPPING, *key]).generate_state(1)[0]))
        yield


def _optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer, which updates all tensors in one call."""
    extra = {"momentum": recipe.momentum} if recipe.optimizer == "sgd" else {}
    return OPTIMIZERS[recipe.optimizer](
        network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True, **extra
    )


def _scheduler(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LRScheduler | None:
    """The recipe's schedule over all steps; momentum stays as it is."""
    if recipe.scheduler == "none":
        return None
    total = recipe.epochs * steps
    return OneCycleLR(optimizer, recipe.lr, total_steps=total, cycle_momentum=False)
