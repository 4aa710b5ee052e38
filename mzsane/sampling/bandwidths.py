r"""How wide a kernel density should be, in units of the data's spread.

Scott's rule is :math:`n^{-1/(d+4)}` and Silverman's :math:`(n (d + 2) / 4)^{-1/(d+4)}`, for n
points in d dimensions (as in SciPy's `gaussian_kde` and scikit-learn's `KernelDensity`). In many
dimensions both approach 1. Cross-validation takes the bandwidth under which each anchor is most
likely where the others are (Habbema et al. 1974, Duin 1976).
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

BANDWIDTHS = np.geomspace(0.01, 10.0, 61)
"""What cross-validation chooses from: steps of 12 %."""

PART = 2**25
"""Numbers in memory at once while distances are measured."""


def scott(n: int, d: Float[Tensor, " groups"]) -> Float[Tensor, " groups"]:
    """Scott's rule for each of some densities over `n` points."""
    return torch.pow(torch.tensor(float(n), dtype=d.dtype), -1 / (d + 4))


def silverman(n: int, d: Float[Tensor, " groups"]) -> Float[Tensor, " groups"]:
    """Silverman's rule for each of some densities over `n` points."""
    return torch.pow(n * (d + 2) / 4, -1 / (d + 4))


def cross_validated(
    latents: Float[Tensor, "anchors tokens latent"],
    scale: Float[Tensor, "tokens latent"],
    group: Int[Tensor, " tokens"],
) -> float:
    r"""The one of `BANDWIDTHS` that makes anchors most likely, each under those of all others.

    A density over whole models is the product of the densities of its groups of tokens, so its
    log-likelihood is

    .. math:: \sum_g \sum_i \log \frac{1}{n-1} \sum_{j \ne i}
              N\!\left(z^{(i)}_g;\, z^{(j)}_g,\, h^2 s_g^2\right)

    Dimensions without any spread are left out; they would make every bandwidth infinitely good.

    Args:
        latents: of the anchors.
        scale: unit of the bandwidth, :math:`s`.
        group: number of the density that each token belongs to.

    Raises:
        ValueError: there are fewer than two anchors.
    """
    n = len(latents)
    if n < 2:
        raise ValueError("bandwidth=cv needs at least two anchors; give a number, or more anchors")
    distances, dimensions = _distances(latents, scale, group)
    others = ~torch.eye(n, dtype=torch.bool)
    distances = distances[:, others].unflatten(1, (n, n - 1))

    def likelihood(h: float) -> float:
        nearness = torch.logsumexp(-distances / (2 * h * h), -1).sum(1)
        return float((nearness - n * dimensions * np.log(h)).sum())

    return float(max(BANDWIDTHS, key=likelihood))


def _distances(
    latents: Float[Tensor, "anchors tokens latent"],
    scale: Float[Tensor, "tokens latent"],
    group: Int[Tensor, " tokens"],
) -> tuple[Float[Tensor, "groups anchors anchors"], Float[Tensor, " groups"]]:
    """Squared distances between anchors in units of `scale`, and dimensions, of every group."""
    n, tokens, latent = latents.shape
    groups = int(group.max()) + 1
    distances = torch.zeros(groups, n, n, dtype=torch.float64)
    dimensions = torch.zeros(groups, dtype=torch.float64)
    dimensions.index_add_(0, group, (scale > 0).sum(1).double().cpu())
    for part in torch.arange(tokens).split(max(1, PART // (n * n + n * latent))):
        width = scale[part]
        values = torch.where(width > 0, latents[:, part] / width, 0).movedim(1, 0).double()
        # differences rather than inner products, which would cancel where anchors are close
        squares = torch.cdist(values, values, compute_mode="donot_use_mm_for_euclid_dist").square()
        distances.index_add_(0, group[part], squares.cpu())
    return distances, dimensions
