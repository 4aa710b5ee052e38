"""Training all models of a population at once, vectorised with `torch.func`."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mzsane.images import Split
from mzsane.populations.engines import activation_bytes, memory_budget
from mzsane.populations.evaluating import Outcome, evaluate
from mzsane.populations.population import Population
from mzsane.populations.recipes import Recipe, learning_rates, steps_an_epoch
from mzsane.populations.training import dropping, shuffled
from mzsane.populations.updates import UPDATES, Settings

Buffers = dict[str, Tensor]
Images = Float[Tensor, "batch channels height width"]

ROWS, COPIES = 6, 3  # live at once: matrices of parameters; activations with their gradients


class JointTraining:
    """`Training` for models of one architecture, side by side: the numbers agree to rounding.

    Each model sees the images in its own order. Learning rates, weight decays and momenta may
    differ. Dropout draws for all models at once, so that with it, unlike without, a model depends
    on which others are trained with it.

    Args:
        population: the models as they begin; trained on the device of the tensors.
        split: images and labels.
        recipes: one a model, with the same optimizer, scheduler, batch size and epochs.
        seeds: one a model.

    Attributes:
        epoch: how many are finished.

    Raises:
        ValueError: if the images do not fill one batch, the recipes cannot go together, or the
            networks share tensors or hide some from their state dict.
    """

    def __init__(
        self, population: Population, split: Split, recipes: Sequence[Recipe], seeds: Sequence[int]
    ) -> None:
        _require_together(recipes)
        self.epoch = 0
        self._population, self._device = population, population.device
        self._network = population.architecture.build().to(population.device).train()
        self._shapes = {name: p.shape for name, p in self._network.named_parameters()}
        _require_plain(population, {*self._shapes, *dict(self._network.named_buffers())})
        self._split = Split(*(tensor.to(self._device) for tensor in split))
        self._recipe, self._seeds = recipes[0], list(seeds)
        self._steps = steps_an_epoch(self._recipe, len(split.images))
        # a peak of 1, to be multiplied by that of each model
        unit = replace(self._recipe, lr=1.0)
        self._rates = learning_rates(unit, unit.epochs * self._steps)
        self._settings = Settings(
            *(
                torch.tensor([[getattr(recipe, name)] for recipe in recipes], device=self._device)
                for name in Settings._fields
            )
        )
        self._update, remembered = UPDATES[self._recipe.optimizer]
        self._take(population.tensors)
        self._memory = {name: torch.zeros_like(self._rows) for name in remembered}

    def _take(self, tensors: Mapping[str, Tensor]) -> None:
        """Parameters as rows, so that an update is a few operations; buffers by name."""
        self._rows = torch.cat([tensors[name].flatten(1) for name in self._shapes], dim=1)
        self._buffers = {k: t.clone() for k, t in tensors.items() if k not in self._shapes}

    def advance(self) -> None:
        """One pass over the images."""
        deque(self.steps(), maxlen=0)

    def steps(self) -> Iterator[int]:
        """As those of `Training`."""
        size = self._recipe.batch_size
        first = self.epoch * self._steps
        batches = torch.stack(
            [shuffled(seed, self.epoch, len(self._split.images), size) for seed in self._seeds], 1
        ).to(self._device)
        with dropping(self._device, [*self._seeds, self.epoch]):
            for number, batch in enumerate(batches, start=first):
                self._step(batch, number)
                if number + 1 == first + self._steps:
                    self.epoch += 1
                yield number + 1

    def _step(self, batch: Int[Tensor, "models batch"], number: int) -> None:
        images, labels = (tensor[batch] for tensor in self._split)
        gradient = torch.func.vmap(
            torch.func.grad(self._loss, has_aux=True), randomness="different"
        )
        gradients, self._buffers = gradient(self._rows, self._buffers, images, labels)
        rate = self._settings.lr * float(self._rates[number])
        settings = self._settings._replace(lr=rate)
        self._update(self._rows, gradients, self._memory, settings, number + 1)

    def _loss(
        self,
        row: Float[Tensor, " parameters"],
        buffers: Buffers,
        images: Images,
        labels: Int[Tensor, " batch"],
    ) -> tuple[Float[Tensor, ""], Buffers]:
        """Of one model, and its buffers afterwards."""
        after = {name: buffer.clone() for name, buffer in buffers.items()}
        logits = torch.func.functional_call(self._network, self._named(row) | after, (images,))
        return cross_entropy(logits, labels), after

    def _named(self, rows: Float[Tensor, "*models parameters"]) -> dict[str, Tensor]:
        """The columns of each parameter, in its shape."""
        parts = rows.split([shape.numel() for shape in self._shapes.values()], dim=-1)
        return {
            name: part.view(*rows.shape[:-1], *shape)
            for (name, shape), part in zip(self._shapes.items(), parts, strict=True)
        }

    def _now(self) -> Population:
        """The models as they are."""
        tensors = self._named(self._rows) | self._buffers
        # in the order of the state dict
        return replace(
            self._population, tensors={name: tensors[name] for name in self._population.tensors}
        )

    def score(self, split: Split) -> Outcome:
        """What the models make of a split."""
        return evaluate(self._now(), split, engine="vmap")

    def weights(self) -> list[dict[str, Tensor]]:
        """The state dict of each model, on the CPU."""
        models = self._now().to("cpu")
        return [
            {name: tensor.clone() for name, tensor in models.state(model).items()}
            for model in range(len(models))
        ]

    def states(self) -> list[dict[str, Any]]:
        """All that `resume` needs, here or in `Training`, of each model by itself."""
        memory = {name: rows.cpu() for name, rows in self._memory.items()}
        return [
            {"epoch": self.epoch, "network": weights,
             "memory": {name: rows[model].clone() for name, rows in memory.items()}}
            for model, weights in enumerate(self.weights())
        ]  # fmt: skip

    def resume(self, states: Sequence[Mapping[str, Any]]) -> None:
        """Go on from what `states` gave, of models after the same epoch."""
        networks = [state["network"] for state in states]
        self._take(Population.from_states(self._population.architecture, networks)
                   .to(self._device).tensors)  # fmt: skip
        self._memory = {
            name: torch.stack([state["memory"][name] for state in states]).to(self._device)
            for name in self._memory
        }
        self.epoch = states[0]["epoch"]


def most_together(network: nn.Module, images: Images, device: torch.device) -> int:
    """How many models fit into memory while they are trained; 1 at least.

    Args:
        network: on the CPU, in evaluation mode.
        images: a batch.
        device: where they are to be trained.
    """
    parameters = sum(parameter.nbytes for parameter in network.parameters())
    activations = activation_bytes(network, images)
    each = ROWS * parameters + COPIES * activations + images.nbytes
    return max(memory_budget(device) // each, 1)


def _require_together(recipes: Sequence[Recipe]) -> None:
    for key in ("optimizer", "scheduler", "batch_size", "epochs"):
        if len(found := {getattr(recipe, key) for recipe in recipes}) > 1:
            raise ValueError(f"recipe.{key}={sorted(found)}: models trained at once need the same")


def _require_plain(population: Population, names: set[str]) -> None:
    """Refuse networks that share tensors (tied weights) or leave some out of their state dict."""
    if differing := sorted(names ^ population.tensors.keys()):
        raise ValueError(
            f"{population.architecture.name}: {differing[0]!r} is shared or not part of the state "
            "dict, which cannot be trained vectorised; set zoo_builder.engine=process"
        )
