"""Normalised temperature-scaled cross entropy between two views (NT-Xent)."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mzsane.losses.ranks import gather_over_ranks, shared_mean, world


class NTXent(nn.Module):
    r"""Contrastive loss of SimCLR (arXiv:2002.05709, equation 1).

    .. math:: L = -\frac{1}{2N} \sum_i \log
              \frac{\exp(\cos(z_i, z_{j(i)}) / T)}{\sum_{k \ne i} \exp(\cos(z_i, z_k) / T)}

    over the 2N views of N samples, where :math:`j(i)` is the other view of the sample of i. In a
    distributed run N counts the samples of all ranks, which must have equally many: the mean of
    the ranks' losses, and of their gradients, is that of one process with the whole batch.

    Args:
        temperature: T, positive.

    Raises:
        ValueError: if `temperature` is not positive.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f"temperature {temperature}: must be positive")
        self.temperature = temperature

    def forward(
        self,
        z_a: Float[Tensor, "batch projection"],
        z_b: Float[Tensor, "batch projection"],
        counted: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, ""]:
        """Mean over both views of this rank's samples.

        Args:
            z_a: projections of one view.
            z_b: of the other.
            counted: False for samples that are left out, as if no rank had them; None counts all.
        """
        batch, ranks, rank = len(z_a), *world()
        views = torch.stack([_unit(z_a), _unit(z_b)])
        everyone = _Gather.apply(views) if ranks > 1 else views[None]
        # Own views are rows, everyone's are columns, both in the order (rank, view, sample).
        with torch.autocast(z_a.device.type, enabled=False):
            logits = views.flatten(0, 1) @ everyone.flatten(0, 2).T / self.temperature
        own = torch.arange(2 * batch, device=z_a.device)
        start = rank * 2 * batch
        itself = torch.arange(logits.shape[1], device=z_a.device) == (own + start)[:, None]
        other_view = (own + batch) % (2 * batch) + start
        if counted is None:
            return F.cross_entropy(logits.masked_fill(itself, -torch.inf), other_view)
        both = counted.repeat(2)
        hidden = itself | ~gather_over_ranks(both.byte()).bool()
        each = F.cross_entropy(
            logits.masked_fill(hidden, -torch.inf), other_view, reduction="none"
        ).masked_fill(~both, 0)  # what is left out has no counterpart that is seen
        return shared_mean(each.sum(), both.sum())


class _Gather(torch.autograd.Function):
    """Tensors of all ranks, stacked; the gradient of each is summed over all ranks."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        gathered = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, x.contiguous())
        return torch.stack(gathered)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[dist.get_rank()]


def _unit(z: Float[Tensor, "batch projection"]) -> Float[Tensor, "batch projection"]:
    """Unit vectors, in at least float32: rounded cosines would be magnified by 1 / T."""
    return F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=1)
