"""Training one network on images held in memory."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mzsane.images import Split
from mzsane.populations.engines import quickest_order
from mzsane.populations.evaluating import Outcome, score
from mzsane.populations.recipes import OPTIMIZERS, Recipe, learning_rates, steps_an_epoch
from mzsane.populations.updates import UPDATES

SHUFFLING, DROPPING = 3, 5  # purposes of the random draws, see docs/design.md
# what torch's optimizers call the memory of ours
REMEMBERED = {"mean": "exp_avg", "square": "exp_avg_sq", "velocity": "momentum_buffer"}


class Training:
    """One network in training with cross-entropy, which can be left and taken up after any epoch.

    The order of images in an epoch, and what dropout draws in it, are functions of (seed, epoch);
    the global random state stays as it was. Our own networks run with the channels last in memory,
    for speed; values and shapes are not touched by that.

    Args:
        network: trained in place, where it lies.
        split: images and labels.
        recipe: how.
        seed: of this network.

    Attributes:
        epoch: how many are finished.

    Raises:
        ValueError: if the images do not fill one batch.
    """

    def __init__(self, network: nn.Module, split: Split, recipe: Recipe, seed: int) -> None:
        self.epoch = 0
        self._network = network.to(memory_format=quickest_order(network))
        self._split = Split(*(tensor.to(next(network.parameters()).device) for tensor in split))
        self._recipe, self._seed = recipe, seed
        self._parameters = list(network.parameters())
        self._optimizer = _optimizer(network, recipe)
        self._steps = steps_an_epoch(recipe, len(split.images))
        self._rates = learning_rates(recipe, recipe.epochs * self._steps)

    def advance(self) -> None:
        """One pass over the images; afterwards the network is in training mode."""
        deque(self.steps(), maxlen=0)

    def steps(self) -> Iterator[int]:
        """`advance`, step by step, which may be left for good: how many steps have been made.

        Nothing may be drawn from the global random state in between.
        """
        batches = shuffled(self._seed, self.epoch, len(self._split.images), self._recipe.batch_size)
        first = self.epoch * self._steps
        self._network.train()
        with dropping(self._split.images.device, [self._seed, self.epoch]):
            for number, batch in enumerate(batches, start=first):
                self._step(batch.to(self._split.images.device), float(self._rates[number]))
                if number + 1 == first + self._steps:
                    self.epoch += 1
                yield number + 1

    def _step(self, batch: Int[Tensor, " batch"], rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        images, labels = (tensor.index_select(0, batch) for tensor in self._split)
        loss = cross_entropy(self._network(images), labels)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()

    def score(self, split: Split) -> Outcome:
        """What the network makes of a split, as a population of one."""
        return score(self._network, split)

    def weights(self) -> list[dict[str, Tensor]]:
        """The state dict, of the one network there is."""
        return [dict(self._network.state_dict())]

    def states(self) -> list[dict[str, Any]]:
        """All that `resume` needs, here or in `JointTraining`, of the one network there is."""
        memory = {
            name: torch.cat([self._remembered(p, name).flatten() for p in self._parameters])
            for name in UPDATES[self._recipe.optimizer][1]
        }
        return [{"epoch": self.epoch, "network": self.weights()[0], "memory": memory}]

    def _remembered(self, parameter: nn.Parameter, name: str) -> Tensor:
        """What the optimizer remembers of a parameter; without momentum, nothing."""
        known = self._optimizer.state.get(parameter, {})
        return known.get(REMEMBERED[name], torch.zeros_like(parameter))

    def resume(self, states: Sequence[dict[str, Any]]) -> None:
        """Go on from what `states` gave: to the same bits as without the interruption."""
        (state,) = states
        self._network.load_state_dict(state["network"])
        self.epoch = state["epoch"]
        sizes = [parameter.numel() for parameter in self._parameters]
        for parameter in self._parameters:
            step = torch.tensor(float(self.epoch * self._steps), device=parameter.device)
            self._optimizer.state[parameter] = {"step": step}
        for name, row in state["memory"].items():
            for parameter, part in zip(self._parameters, row.split(sizes), strict=True):
                # axes in the parameter's order in memory, as the fused optimizers need them
                values = torch.empty_like(parameter).copy_(part.view_as(parameter))
                self._optimizer.state[parameter][REMEMBERED[name]] = values


def fit(
    network: nn.Module,
    split: Split,
    recipe: Recipe,
    seed: int,
    after_epoch: Callable[[int], None],
) -> None:
    """Train in place, see `Training`.

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
    training = Training(network, split, recipe, seed)
    after_epoch(0)
    while training.epoch < recipe.epochs:
        training.advance()
        after_epoch(training.epoch)
    network.to(memory_format=torch.contiguous_format)


def shuffled(seed: int, epoch: int, images: int, batch_size: int) -> Int[Tensor, "steps batch"]:
    """The batches of an epoch, as indices of images; those that fill no batch are left out."""
    order = np.random.default_rng([SHUFFLING, seed, epoch]).permutation(images)
    steps = images // batch_size
    return torch.from_numpy(order[: steps * batch_size]).view(steps, batch_size)


@contextmanager
def dropping(device: torch.device, key: Sequence[int]) -> Iterator[None]:
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
