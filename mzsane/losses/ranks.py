"""The processes of a distributed run, of which each sees its share of a batch."""

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor
from torch.autograd import Function


def world() -> tuple[int, int]:
    """Number of ranks, and this one."""
    running = dist.is_available() and dist.is_initialized()
    return (dist.get_world_size(), dist.get_rank()) if running else (1, 0)


def sum_over_ranks(x: Tensor) -> Tensor:
    """The sum of all ranks' tensors, as a constant: no gradient goes through it."""
    if world()[0] == 1:
        return x
    total = x.detach().clone()
    dist.all_reduce(total)
    return total


def traced_sum_over_ranks(x: Tensor) -> Tensor:
    """The sum of all ranks' tensors; gradients flow back to every rank's."""
    return _Sum.apply(x) if world()[0] > 1 else x


def gather_over_ranks(x: Shaped[Tensor, " own"]) -> Shaped[Tensor, " all"]:
    """All ranks' tensors, of one size, one after the other, as a constant."""
    if world()[0] == 1:
        return x
    gathered = [torch.empty_like(x) for _ in range(world()[0])]
    dist.all_gather(gathered, x.detach().contiguous())
    return torch.cat(gathered)


def shared_mean(total: Float[Tensor, ""], count: Shaped[Tensor, ""]) -> Float[Tensor, ""]:
    """`total / count` of which the mean over ranks is that of one process with the whole batch.

    Args:
        total: sum over this rank's share.
        count: how many it holds; where no rank holds any, the mean is 0.
    """
    return total * world()[0] / sum_over_ranks(count).clamp(min=1)


class _Sum(Function):
    """The gradient of a rank's tensor is the sum of the gradients that all ranks have."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient
