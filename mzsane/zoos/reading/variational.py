"""Networks sparsified by variational dropout, as the networks that were evaluated."""

import torch
from torch import Tensor

PRUNED = 3.0  # the published threshold on log alpha: above, a weight is 95 % noise
_SPREAD = ("log_sigma2", "log_sigma2_bias")
_EPS = 1e-15


def fold_spreads(state: dict[str, Tensor]) -> dict[str, Tensor]:
    r"""The network that a sparsified one is at evaluation, without the spreads of its weights.

    Variational dropout (arXiv:1701.05369) learns :math:`\log\sigma^2` beside each weight
    :math:`\theta`; at evaluation weights with :math:`\log\sigma^2 - \log\theta^2 \ge 3` are zero.
    The published zoos (arXiv:2209.14764, sparsified twins) prune the biases of convolutions in
    the same way; linear layers carry a spread of their bias, too, but never use it, nor was it
    ever initialised.

    Returns:
        The state dict with pruned values set to zero and no ``log_sigma2``; the same one if it has
        none.
    """
    layers = [name.removesuffix(".log_sigma2") for name in state if name.endswith(".log_sigma2")]
    if not layers:
        return state
    kept = {name: t for name, t in state.items() if name.rpartition(".")[2] not in _SPREAD}
    for layer in layers:
        for value, spread in zip(("weight", "bias"), _SPREAD, strict=True):
            name, noise = f"{layer}.{value}", state.get(f"{layer}.{spread}")
            convolution = f"{layer}.weight" in state and state[f"{layer}.weight"].ndim > 2
            if name in kept and noise is not None and (value == "weight" or convolution):
                kept[name] = _pruned(kept[name], noise)
    return kept


def _pruned(values: Tensor, log_sigma2: Tensor) -> Tensor:
    log_alpha = log_sigma2 - 2 * torch.log(values.abs() + _EPS)
    return values.masked_fill(log_alpha >= PRUNED, 0.0)
