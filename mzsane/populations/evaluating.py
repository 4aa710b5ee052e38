"""How well the models of a population classify images."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from joblib import Parallel, cpu_count, delayed
from torch import Tensor
from torch.nn.functional import cross_entropy

from mzsane.images import Split
from mzsane.populations.population import Population

BATCH = 250  # images a forward pass: the fastest of 50 to 1,000 for the small CNN on two cores
BUDGET = 2**28  # values of a vectorised forward pass's inputs, over all models: 1 GiB of float32

Engine = Literal["loop", "vmap"]
Logits = Float[Tensor, "models images classes"]


class Outcome(NamedTuple):
    """What a population makes of a split; on the device of the population.

    A model with NaN weights has a NaN loss, and the predictions that torch's argmax makes of NaN.
    """

    accuracy: Float[Tensor, " models"]
    loss: Float[Tensor, " models"]
    predictions: Int[Tensor, "models images"]


def evaluate(
    population: Population, split: Split, workers: int = 1, engine: Engine | None = None
) -> Outcome:
    """Accuracy in [0, 1], mean cross-entropy in nats, and the predicted class of every image.

    Models run in evaluation mode. On a CPU they run one after the other; on a GPU vectorised with
    `torch.func`, in chunks. Both engines give the same numbers up to rounding.

    Args:
        population: the models; they run where their tensors lie.
        split: the images.
        workers: processes among which models on a CPU are divided, one thread each; 1 stays in
            this process and leaves the threads to torch, -1 takes a process a core.
        engine: None chooses by the device.

    Raises:
        ValueError: if the images do not have the architecture's input shape.
    """
    shape = tuple(split.images.shape[1:])
    if shape != population.architecture.input_shape:
        raise ValueError(
            f"{population.architecture.name} takes images {population.architecture.input_shape}, "
            f"the split has {shape}; choose another image set"
        )
    if engine == "vmap" or (engine is None and population.device.type != "cpu"):
        return _outcome(torch.cat(list(_vectorised(population, split.images))), split)
    processes = min(cpu_count() if workers == -1 else workers, len(population))
    if processes == 1:
        return _outcome(_looped(population, split.images), split)
    parts = torch.arange(len(population)).tensor_split(processes)
    logits = Parallel(processes)(
        delayed(_alone)(population[slice(int(part[0]), int(part[-1]) + 1)], split.images.numpy())
        for part in parts
    )
    return _outcome(torch.cat([torch.from_numpy(part) for part in logits]), split)


def _outcome(logits: Logits, split: Split) -> Outcome:
    labels = split.labels.to(logits.device)
    predictions = logits.argmax(-1)
    losses = torch.stack([cross_entropy(model, labels) for model in logits])
    return Outcome((predictions == labels).float().mean(1), losses, predictions)


def _alone(population: Population, images: np.ndarray) -> np.ndarray:
    """A worker's share; arrays, because joblib maps large ones into memory instead of copying."""
    torch.set_num_threads(1)
    return _looped(population, torch.from_numpy(images)).numpy()


@torch.inference_mode()
def _looped(population: Population, images: Tensor) -> Logits:
    network = population.architecture.build().eval().to(population.device)
    images = images.to(population.device)
    logits = []
    for model in range(len(population)):
        network.load_state_dict(population.state(model))
        logits.append(torch.cat([network(batch) for batch in images.split(BATCH)]))
    return torch.stack(logits)


@torch.inference_mode()
def _vectorised(population: Population, images: Tensor) -> Iterator[Logits]:
    network = population.architecture.build().eval().to(population.device)
    images = images.to(population.device)
    forward = torch.func.vmap(
        lambda state, batch: torch.func.functional_call(network, state, (batch,)), (0, None)
    )
    models = max(BUDGET // (BATCH * images[0].numel()), 1)
    for first in range(0, len(population), models):
        chunk = population[first : first + models].tensors
        yield torch.cat([forward(chunk, batch) for batch in images.split(BATCH)], dim=1)
