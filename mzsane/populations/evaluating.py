"""How well the models of a population classify images."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mzsane.images import Split
from mzsane.populations.engines import Engine, chunks, engine_of, quickest_order, spread
from mzsane.populations.population import Population

BATCH = 250  # images a forward pass


class Outcome(NamedTuple):
    """What a population makes of a split, on the device of the population.

    Attributes:
        accuracy: share of the images whose class was predicted, in [0, 1].
        loss: mean cross-entropy in nats; NaN for a model that gives NaN for any image.
        predictions: the class with the largest logit; of NaN, torch's argmax makes the first.
    """

    accuracy: Float[Tensor, " models"]
    loss: Float[Tensor, " models"]
    predictions: Int[Tensor, "models images"]


def evaluate(
    population: Population, split: Split, workers: int = 1, engine: Engine | None = None
) -> Outcome:
    """Run every model in evaluation mode, without gradients, on every image.

    Args:
        population: the models; they run where their tensors lie.
        split: the images.
        workers: processes for models on a CPU, see `mzsane.populations.engines.spread`.
        engine: ``process`` or ``vmap``; None takes the one that suits the device.

    Raises:
        ValueError: if the images do not have the architecture's input shape.
    """
    require_fitting(population, split)
    split = Split(*(tensor.to(population.device) for tensor in split))
    if (engine or engine_of(population)) == "process":
        parts = spread(partial(_looped, split=split), population, workers)
    else:
        parts = [_vectorised(population, split)]
    return _join(parts)


def log_probabilities(
    population: Population, split: Split, workers: int = 1
) -> Float[Tensor, "models images classes"]:
    """Logarithm of what every model thinks each class's probability is, on its device.

    In evaluation mode. Probabilities themselves become 0 where a network is sure enough.

    Args:
        population: the models; they run where their tensors lie.
        split: the images.
        workers: processes for models on a CPU, see `mzsane.populations.engines.spread`.

    Raises:
        ValueError: if the images do not have the architecture's input shape.
    """
    require_fitting(population, split)
    images = split.images.to(population.device)
    if engine_of(population) == "process":
        return torch.cat(spread(partial(_logs_looped, images=images), population, workers))
    return _logs_vectorised(population, images)


def score(network: nn.Module, split: Split) -> Outcome:
    """What one network makes of a split, as a population of one; it is left in evaluation mode."""
    network.eval()
    with torch.inference_mode():
        return _score(lambda images: network(images).unsqueeze(0), split)


def require_fitting(population: Population, split: Split) -> None:
    """Refuse images of another shape than the models take."""
    wanted, shape = population.architecture.input_shape, tuple(split.images.shape[1:])
    if shape != wanted:
        raise ValueError(
            f"{population.architecture.name} takes images of shape {wanted}, these have {shape}; "
            "choose another image set"
        )


def _looped(population: Population, split: Split) -> Outcome:
    """One model after the other."""
    network = population.architecture.build().to(population.device)
    network.to(memory_format=quickest_order(network))
    outcomes = []
    for model in range(len(population)):
        network.load_state_dict(population.state(model))
        outcomes.append(score(network, split))
    return _join(outcomes)


@torch.inference_mode()
def _vectorised(population: Population, split: Split) -> Outcome:
    """As many models at once as fit into memory."""
    network = population.architecture.build().eval().to(population.device)
    forward = torch.func.vmap(partial(torch.func.functional_call, network), in_dims=(0, None))
    return _join(
        [
            _score(partial(forward, part.tensors), split)
            for part in chunks(network, population, split.images[:BATCH])
        ]
    )


@torch.inference_mode()
def _logs_looped(
    population: Population, images: Float[Tensor, "images channels height width"]
) -> Float[Tensor, "models images classes"]:
    """One model after the other."""
    network = population.architecture.build().eval().to(population.device)
    network.to(memory_format=quickest_order(network))
    found = []
    for model in range(len(population)):
        network.load_state_dict(population.state(model))
        found.append(torch.cat([network(batch).log_softmax(-1) for batch in images.split(BATCH)]))
    return torch.stack(found)


@torch.inference_mode()
def _logs_vectorised(
    population: Population, images: Float[Tensor, "images channels height width"]
) -> Float[Tensor, "models images classes"]:
    """As many models at once as fit into memory."""
    network = population.architecture.build().eval().to(population.device)
    forward = torch.func.vmap(partial(torch.func.functional_call, network), in_dims=(0, None))
    parts = [
        torch.cat(
            [forward(part.tensors, batch).log_softmax(-1) for batch in images.split(BATCH)], 1
        )
        for part in chunks(network, population, images[:BATCH])
    ]
    return torch.cat(parts)


def _score(
    forward: Callable[[Tensor], Float[Tensor, "models batch classes"]], split: Split
) -> Outcome:
    """What the models behind `forward` make of the split."""
    losses, predictions = [], []
    for images, labels in zip(split.images.split(BATCH), split.labels.split(BATCH), strict=True):
        logits = forward(images)
        wanted = labels.expand(len(logits), -1)
        losses.append(cross_entropy(logits.movedim(-1, 1), wanted, reduction="none"))
        predictions.append(logits.argmax(-1))
    predicted = torch.cat(predictions, dim=1)
    # in double precision, so that the engines' different orders of summation leave no trace
    loss = torch.cat(losses, dim=1).double().mean(1).float()
    return Outcome((predicted == split.labels).double().mean(1).float(), loss, predicted)


def _join(parts: list[Outcome]) -> Outcome:
    """Outcomes of parts of a population, as one."""
    return Outcome(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
