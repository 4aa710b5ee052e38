"""How N models are run: one process a core on a CPU, vectorised on a GPU.

The device of the tensors decides: `torch.func.vmap` makes small networks slower on a CPU, where a
loop serves better, and pays on a GPU. The numbers are the same either way.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from time import perf_counter
from typing import Literal, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from joblib import delayed, effective_n_jobs
from torch import Tensor, nn

from mzsane.populations.population import Population
from mzsane.processes import one_thread, running

Engine = Literal["process", "vmap"]
Result = TypeVar("Result")


@runtime_checkable
class Divisible(Protocol):
    """Models that can be dealt out, such as a population."""

    def __len__(self) -> int:
        """Number of models."""

    def __getitem__(self, models: slice | Int[Tensor, "_chosen"], /) -> "Divisible":
        """Some of them: a view for a slice, a copy for indices."""


Models = TypeVar("Models", bound=Divisible)

STARTING = 4.0  # seconds until joblib's processes have imported torch, on two cores
BUDGET = 2**30  # bytes of activations of a vectorised forward pass on a CPU


def engine_of(population: Population) -> Engine:
    """The engine that suits the device of the population."""
    return "process" if population.device.type == "cpu" else "vmap"


def spread(work: Callable[[Models], Result], population: Models, workers: int) -> list[Result]:
    """Divide models among processes of one thread each; the results of the parts, in order.

    Work that would be done before other processes have started stays in this one, with one thread,
    too. How long it takes is seen from the first two models.

    Args:
        work: what is done to a part of the population.
        population: all models.
        workers: processes; 1 stays in this one, -1 takes every core.
    """
    done, seconds = [], []
    with one_thread():
        while len(done) < min(2, len(population)):
            started = perf_counter()
            done.append(work(population[len(done) : len(done) + 1]))
            seconds.append(perf_counter() - started)
        rest = population[len(done) :]
        processes = min(effective_n_jobs(workers), len(rest))
        if processes <= 1 or min(seconds) * len(rest) * (1 - 1 / processes) < STARTING:
            return [*done, work(rest)] if len(rest) else done
    bounds = torch.linspace(0, len(rest), processes + 1).long().tolist()
    # copies, because a view is sent to a process with all of its storage
    parts = [rest[torch.arange(start, stop)] for start, stop in pairwise(bounds)]
    with running((delayed(_alone)(work, part) for part in parts), processes) as results:
        return [*done, *results]


def quickest_order(network: nn.Module) -> torch.memory_format:
    """The order of axes in memory with which a network runs fastest on a CPU.

    Channels last is the faster one for the zoos' convolutions. Networks from elsewhere keep the
    usual order: many call `view` on what a convolution returns, and fail else.
    """
    ours = type(network).__module__.startswith("mzsane.architectures")
    return torch.channels_last if ours else torch.contiguous_format


def chunks(
    network: nn.Module, population: Population, images: Float[Tensor, "batch channels height width"]
) -> Iterator[Population]:
    """Parts of a population whose activations fit into memory together.

    Args:
        network: of the population's architecture.
        population: the models.
        images: a batch as large as any that will be shown.
    """
    models = max(memory_budget(population.device) // activation_bytes(network, images), 1)
    for first in range(0, len(population), models):
        yield population[first : first + models]


def memory_budget(device: torch.device) -> int:
    """Bytes for what is vectorised: half of what is free on a GPU, `BUDGET` on a CPU."""
    return torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else BUDGET


@torch.no_grad()
def activation_bytes(network: nn.Module, images: Tensor) -> int:
    """Bytes of all modules' outputs for these images, from the first of them."""
    sizes = []
    handles = [
        module.register_forward_hook(lambda module, inputs, output: sizes.append(output.nbytes))
        for module in network.modules()
    ]
    network(images[:1])
    for handle in handles:
        handle.remove()
    return sum(sizes) * len(images)


def _alone(work: Callable[[Models], Result], population: Models) -> Result:
    """A part of the work, in a process of its own."""
    with one_thread():
        return work(population)
