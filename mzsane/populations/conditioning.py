"""Running statistics of BatchNorm for models that have none of their own."""

import torch
from torch import Tensor, nn

from mzsane.images import Split
from mzsane.populations.population import Population

_BATCHNORM = nn.modules.batchnorm._BatchNorm


def condition(
    population: Population, split: Split, batch_size: int = 128, batches: int = 50
) -> Population:
    """Recompute running means and variances by forward passes; weights stay as they are.

    Statistics start from nothing and are plain averages over the batches (``momentum=None``), so
    that nothing remains of what they were before. Dropout is off.

    Args:
        population: the models.
        split: images; use the validation split, so that test images stay unseen.
        batch_size: images a batch.
        batches: at most so many batches, from the first image on.
    """
    network = population.architecture.build().eval().to(population.device)
    norms = [module for module in network.modules() if isinstance(module, _BATCHNORM)]
    images = split.images[: batch_size * batches].to(population.device)
    states = [
        _conditioned(network, norms, population.state(model), images.split(batch_size))
        for model in range(len(population))
    ]
    return Population.from_states(population.architecture, states)


@torch.no_grad()
def _conditioned(
    network: nn.Module,
    norms: list[nn.Module],
    state: dict[str, Tensor],
    batches: tuple[Tensor, ...],
) -> dict[str, Tensor]:
    network.load_state_dict(state)
    for norm in norms:
        norm.train()  # eval mode would leave the statistics alone
        norm.reset_running_stats()
        norm.momentum = None
    for batch in batches:
        network(batch)
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}
