"""How much arithmetic a step needs, and how much a device could do."""

import re

import torch
from torch import nn

PEAKS = {
    "GB200": 2500e12,
    "B200": 2250e12,
    "H200 NVL": 835e12,
    "H200": 989e12,
    "GH200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10": 125e12,
    "RTX 4090": 165e12,
}
"""Dense bfloat16 operations a second by the words of a device's name, from NVIDIA's data sheets,
which head their columns with twice as much, for sparse matrices; the first that fits counts."""

_LESS = re.compile(r"\b(MIG|Laptop|4090 D)\b")
"""Parts of a GPU, and slower ones of the same number, of which nothing is known."""


def peak_flops(device: torch.device) -> float | None:
    """Dense bfloat16 operations a second of a GPU in the table, else None."""
    return _peak_of(torch.cuda.get_device_name(device)) if device.type == "cuda" else None


def _peak_of(name: str) -> float | None:
    """By whole words: an RTX A1000 is no A100."""
    if _LESS.search(name):
        return None
    return next((peak for part, peak in PEAKS.items() if re.search(rf"\b{part}\b", name)), None)


def flops_per_token(model: nn.Module, window: int) -> float:
    r"""Operations of one token's forward and backward pass (PaLM, arXiv:2204.02311, appendix B).

    .. math:: 6 N + 12 L d w

    with N weights of linear layers, L blocks of encoder and decoder together, width d and window w.
    The projection head, which sees a window once, counts by its share of a token. Position tables,
    normalisations, the loss, and what is computed again, to save memory or for a term of the loss,
    count nothing.

    Args:
        model: as `mzsane.models.Sane`, with `encoder`, `decoder` and `head`.
        window: tokens that attend to each other, padding included.
    """
    linear = _linear_weights(model) - _linear_weights(model.head) * (1 - 1 / window)
    blocks = [*model.encoder.blocks, *model.decoder.blocks]
    return 6 * linear + 12 * window * sum(block.attention.out.in_features for block in blocks)


def _linear_weights(module: nn.Module) -> int:
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Linear))
