"""Squared error over real weights, measured in the spread of the weights it reconstructs."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from mzsane.losses.ranks import gather_over_ranks, shared_mean, sum_over_ranks

Tokens = Float[Tensor, "batch window d_token"]
Mask = Bool[Tensor, "batch window d_token"]

SCOPES = {"token": (2,), "token_dim": (0, 1), "window": (1, 2), "batch": (0, 1, 2)}
"""Axes over which a named normalisation takes mean and spread; `layer` is no axis."""


class MaskedReconstruction(nn.Module):
    r"""Masked reconstruction loss, normalised at run time (arXiv:2504.10141).

    .. math:: L = \frac{\sum m (\tau - \hat\tau)^2}{\sum m}, \quad
              \tau = \frac{t - \mu}{\sigma + \epsilon}, \quad
              \hat\tau = \frac{\hat t - \mu}{\sigma + \epsilon}

    with the mask :math:`m` and :math:`\mu`, biased :math:`\sigma` of the target's real weights.
    As :math:`\mu` cancels, each error is :math:`(t - \hat t)^2 / (\sigma + \epsilon)^2`. Zoos of
    different scales train together without being standardised beforehand. In a distributed run
    sums go over all ranks, so that the mean of the ranks' losses, and of their gradients, is that
    of one process with the whole batch.

    Args:
        normalization: whose :math:`\sigma`: ``token``, each token its own (the paper's text);
            ``token_dim``, each column of the tokens, over batch and window; ``window``, each
            sample; ``layer``, all tokens of one layer index in the batch; ``batch``, one for all
            (the published code); ``none``, errors as they are.
        eps: added to :math:`\sigma`, in units of weights. Where a scope holds a single weight, or
            equal ones, :math:`\sigma` is 0 and errors count :math:`1/\epsilon^2` fold.

    Raises:
        ValueError: if `normalization` is unknown or `eps` is not positive.
    """

    def __init__(self, normalization: str = "token", eps: float = 1e-4) -> None:
        super().__init__()
        names = [*SCOPES, "layer", "none"]
        if normalization not in names:
            raise ValueError(f"normalization {normalization!r}: choose from {', '.join(names)}")
        if eps <= 0:
            raise ValueError(f"eps {eps}: must be positive, constant weights have no spread")
        self.normalization = normalization
        self.eps = eps

    def forward(
        self,
        prediction: Tokens,
        target: Tokens,
        mask: Mask,
        layer: Int[Tensor, "batch window"],
    ) -> Float[Tensor, ""]:
        """Mean over the real weights of the batch; nothing in padding is read.

        Args:
            prediction: reconstructed tokens.
            target: clean tokens.
            mask: True where a token holds a weight.
            layer: layer index of each token, read by the normalisation ``layer`` alone.
        """
        target = _at_least_float32(target).masked_fill(~mask, 0)
        error = _at_least_float32(prediction).masked_fill(~mask, 0) - target
        if self.normalization != "none":
            error = error / (self._spread(target, mask, layer) + self.eps)
        return shared_mean(error.square().sum(), mask.sum())

    def _spread(
        self, target: Tokens, mask: Mask, layer: Int[Tensor, "batch window"]
    ) -> Float[Tensor, "..."]:
        if self.normalization == "layer":
            return _layer_spread(target, mask, layer)
        axes = SCOPES[self.normalization]

        def total(values: Tensor) -> Tensor:
            own = values.sum(axes, keepdim=True)
            return sum_over_ranks(own) if 0 in axes else own

        count = total(mask).clamp(min=1)
        mean = total(target) / count
        deviation = (target - mean).masked_fill(~mask, 0)
        return (total(deviation.square()) / count).sqrt()


def _layer_spread(
    target: Tokens, mask: Mask, layer: Int[Tensor, "batch window"]
) -> Float[Tensor, "batch window 1"]:
    """Spread of the weights of each token's layer; of static shape, whatever layers there are.

    Ranks hold different layers, so they share their tokens' sums, and not those of their layers.
    """
    own = layer.flatten().contiguous()
    everyone = gather_over_ranks(own)
    # The first place of a layer among all sorted: one number per layer, below the number of tokens.
    ordered = everyone.sort().values
    segment, own_segment = (torch.searchsorted(ordered, index) for index in (everyone, own))

    def per_layer(values: Tensor) -> Tensor:
        per_token = gather_over_ranks(values.sum(-1).flatten())
        sums = torch.zeros_like(per_token).index_add(0, segment, per_token)
        return sums[own_segment].view_as(layer).unsqueeze(-1)

    count = per_layer(mask).clamp(min=1)
    mean = per_layer(target) / count
    deviation = (target - mean).masked_fill(~mask, 0)
    return (per_layer(deviation.square()) / count).sqrt()


def _at_least_float32(x: Tensor) -> Tensor:
    """Squares of half-precision errors would be lost."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
