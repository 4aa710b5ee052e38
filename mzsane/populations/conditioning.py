"""Running statistics of BatchNorm for models that have none that fit."""

from dataclasses import replace
from functools import partial
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mzsane.images import Split
from mzsane.populations.engines import Engine, chunks, engine_of, spread
from mzsane.populations.evaluating import require_fitting
from mzsane.populations.population import Population

Statistics = dict[str, Float[Tensor, "_models _channels"]]
Batches = tuple[Float[Tensor, "_batch channels height width"], ...]


def condition(
    population: Population,
    split: Split,
    batch_size: int = 128,
    batches: int = 50,
    workers: int = 1,
    engine: Engine | None = None,
) -> Population:
    """Recompute the running means and variances of BatchNorm; every other tensor stays.

    Statistics are plain averages over batches of equal size (BatchNorm's ``momentum=None``), so
    nothing remains of what they were: with a momentum of 0.1, n batches would leave 0.9^n of it.
    There are no gradients, and dropout is off.

    Args:
        population: the models; without BatchNorm they are returned as they are.
        split: images; take the validation split, so that test images stay unseen.
        batch_size: images a batch at most; they are dealt out evenly.
        batches: how many at most, beginning with the first image.
        workers: processes for models on a CPU, see `mzsane.populations.engines.spread`.
        engine: ``process`` or ``vmap``; None takes the one that suits the device.

    Raises:
        ValueError: if the images do not have the architecture's input shape.
    """
    require_fitting(population, split)
    if not _norms(population.architecture.build()):
        return population
    images = split.images[: batch_size * batches].to(population.device)
    dealt = images.tensor_split(ceil(len(images) / batch_size))
    if (engine or engine_of(population)) == "process":
        parts = spread(partial(_looped, batches=dealt), population, workers)
    else:
        parts = [_vectorised(population, dealt)]
    found = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return replace(population, tensors=population.tensors | found)


@torch.no_grad()
def _looped(population: Population, batches: Batches) -> Statistics:
    """One model after the other."""
    network = _prepared(population)
    found = []
    for model in range(len(population)):
        network.load_state_dict(population.state(model))
        for norm in _norms(network).values():
            norm.reset_running_stats()
            norm.momentum = None
        for batch in batches:
            network(batch)
        state = network.state_dict()
        found.append({name: state[name].clone() for name in _statistics(network)})
    return {name: torch.stack([each[name] for each in found]) for name in found[0]}


@torch.no_grad()
def _vectorised(population: Population, batches: Batches) -> Statistics:
    """As many models at once as fit into memory."""
    network = _prepared(population)
    parts = [_at_once(network, part, batches) for part in chunks(network, population, batches[0])]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _at_once(network: nn.Module, population: Population, batches: Batches) -> Statistics:
    """All models of the population together."""

    def update(
        one: dict[str, Tensor], others: dict[str, Tensor], batch: Tensor
    ) -> dict[str, Tensor]:
        updated = {name: tensor.clone() for name, tensor in one.items()}
        torch.func.functional_call(network, others | updated, (batch,))
        return updated

    counters = [f"{name}.num_batches_tracked" for name in _norms(network)]
    names = [*_statistics(network), *counters]
    # zeros, because what there was may be NaN, of which a momentum of 1 would leave NaN
    statistics = {name: torch.zeros_like(population.tensors[name]) for name in names}
    others = {name: t for name, t in population.tensors.items() if name not in names}
    for number, batch in enumerate(batches, start=1):
        for norm in _norms(network).values():
            # what momentum=None does, which reads its counter as a number and so fails in vmap
            norm.momentum = 1 / number
        statistics = torch.func.vmap(update, in_dims=(0, 0, None))(statistics, others, batch)
    return {name: statistics[name] for name in _statistics(network)}


def _prepared(population: Population) -> nn.Module:
    """The network, on the population's device, with only its BatchNorm layers in training mode."""
    network = population.architecture.build().eval().to(population.device)
    for norm in _norms(network).values():
        norm.train()  # in evaluation mode they would leave their statistics alone
    return network


def _norms(network: nn.Module) -> dict[str, nn.modules.batchnorm._BatchNorm]:
    """BatchNorm layers that have running statistics."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.track_running_stats
    }


def _statistics(network: nn.Module) -> list[str]:
    """Names of the running statistics in the state dict."""
    return [f"{name}.running_{kind}" for name in _norms(network) for kind in ("mean", "var")]
