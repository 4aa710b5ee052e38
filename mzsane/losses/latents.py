"""Losses of the latents, which give them a shape that samplers can draw from.

All go over the latents of real tokens, in at least float32, and over the batch of all ranks: the
mean of the ranks' losses, and of their gradients, is that of one process with the whole batch.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mzsane.losses.ranks import shared_mean, sum_over_ranks, traced_sum_over_ranks
from mzsane.losses.step import Step

Latents = Float[Tensor, "windows window latent"]


class LatentCycle(nn.Module):
    r"""Decoded and encoded again, latents are to be what they were.

    .. math:: L = \frac{1}{N d} \sum_{i=1}^{N} \lVert E(D(z))_i - \bar z_i \rVert^2

    over the N real tokens, with d entries per latent, encoder E and decoder D; :math:`\bar z` is
    z as a constant, or latents that shrink would lower the loss. It is the latent regression of
    arXiv:1711.11586 with squared differences. Weights drawn by sampling latents then have these
    latents. In units of squared latents; costs a further pass through the encoder.
    """

    def forward(self, step: Step) -> Float[Tensor, ""]:
        """Mean over the latents of real tokens; padding of the decoded tokens is not read."""
        again = step.encode(step.prediction.masked_fill(~step.mask, 0))
        error = _at_least_float32(again) - _at_least_float32(step.latents.detach())
        return _mean_square(error, step.segment >= 0)


class LatentNorm(nn.Module):
    r"""Latents are to be small (regularised autoencoders, arXiv:1903.12436).

    .. math:: L = \frac{1}{N d} \sum_{i=1}^{N} \lVert z_i \rVert^2

    over the N real tokens, with d entries per latent; in units of squared latents. The paper's
    :math:`\lVert z \rVert^2 / 2` is d / 2 fold of it.
    """

    def forward(self, step: Step) -> Float[Tensor, ""]:
        """Mean square of the latents of real tokens."""
        return _mean_square(_at_least_float32(step.latents), step.segment >= 0)


class LatentVariance(nn.Module):
    r"""No dimension of the latents is to collapse (VICReg, arXiv:2105.04906, equation 1).

    .. math:: L = \frac{1}{d} \sum_{j=1}^{d}
              \max\left(0, s - \sqrt{\mathrm{Var}(z_{\cdot j}) + \epsilon}\right)

    with the unbiased variance of dimension j over the real tokens of the batch, in which tokens
    of all places count alike. In units of latents; 0 when all dimensions are spread enough.

    Args:
        spread: s, the standard deviation below which a dimension costs, positive.
        eps: :math:`\epsilon`, squared latents; bounds the gradient where latents are equal.

    Raises:
        ValueError: if one of them is not positive.
    """

    def __init__(self, spread: float = 1.0, eps: float = 1e-4) -> None:
        super().__init__()
        if spread <= 0 or eps <= 0:
            raise ValueError(f"spread {spread}, eps {eps}: both must be positive")
        self.spread = spread
        self.eps = eps

    def forward(self, step: Step) -> Float[Tensor, ""]:
        """Mean over the dimensions of the latents."""
        padding = (step.segment < 0).unsqueeze(-1)
        latents = _at_least_float32(step.latents).masked_fill(padding, 0)
        count = sum_over_ranks((~padding).sum())
        mean = traced_sum_over_ranks(latents.sum((0, 1))) / count.clamp(min=1)
        squares = (latents - mean).masked_fill(padding, 0).square().sum((0, 1))
        variance = traced_sum_over_ranks(squares) / (count - 1).clamp(min=1)
        return (self.spread - (variance + self.eps).sqrt()).clamp(min=0).mean()


def _mean_square(x: Latents, real: Bool[Tensor, "windows window"]) -> Float[Tensor, ""]:
    total = x.masked_fill(~real.unsqueeze(-1), 0).square().sum()
    return shared_mean(total, real.sum() * x.shape[-1])


def _at_least_float32(x: Latents) -> Latents:
    """Squares of half-precision values would be lost."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
