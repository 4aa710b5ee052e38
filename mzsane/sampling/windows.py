"""Whole models through an autoencoder that sees a window at a time."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.models import Sane
from mzsane.tokens import slice_halo, stitch_halo

BATCH = 64
"""Windows in one pass; bounds the memory of activations."""

Precision = Literal["float32", "bfloat16"]
"""Of matrix products; ``bfloat16`` is autocast, and what comes out is float32 again."""


def encode(
    model: Sane,
    tokens: Float[Tensor, "models tokens d_token"],
    positions: Int[Tensor, "tokens place"],
    window: int,
    halo: int,
    precision: Precision = "float32",
) -> Float[Tensor, "models tokens latent"]:
    """Latents of whole models of any length.

    A model that fits into one window is one pass. A longer one is cut into windows that overlap by
    `halo` tokens of context on either side, whose latents are dropped. It runs on the device of
    the autoencoder, without dropout and gradients; the result lies where `tokens` lies.

    Args:
        model: left in the mode, training or evaluation, in which it came.
        tokens: of models of one layout.
        positions: of that layout.
        window: tokens in one pass, context included.
        halo: tokens of context on each side, less than half of `window`.
        precision: see `Precision`.

    Raises:
        ValueError: the window has no room beside its two halos, or the models are longer than the
            autoencoder's position tables.
    """
    with _products(model, precision):
        return _in_windows(model, model.encode, tokens, positions, window, halo)


def decode(
    model: Sane,
    latents: Float[Tensor, "models tokens latent"],
    positions: Int[Tensor, "tokens place"],
    window: int,
    halo: int,
    precision: Precision = "float32",
) -> Float[Tensor, "models tokens d_token"]:
    """Tokens of whole models from their latents; the counterpart of `encode`.

    Raises:
        ValueError: the window has no room beside its two halos.
    """
    with _products(model, precision):
        return _in_windows(model, model.decode, latents, positions, window, halo)


def _products(model: Sane, precision: Precision) -> AbstractContextManager[None]:
    """What makes matrix products of this precision."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(next(model.parameters()).device.type, torch.bfloat16)


@torch.no_grad()
def _in_windows(
    model: Sane,
    step: Callable[[Tensor, Tensor, None], Tensor],
    sequences: Tensor,
    positions: Tensor,
    window: int,
    halo: int,
) -> Tensor:
    """Pass sequences through `step`, as many models at a time as one batch of windows holds."""
    length = sequences.shape[1]
    model.check_positions(positions.amax(0).tolist())
    content, halo = content_of(length, window, halo)
    together = max(1, BATCH // -(-length // content))
    places = slice_halo(positions, content, halo)
    with evaluating(model):
        outputs = [
            _pass(step, slice_halo(models, content, halo), places, next(model.parameters()))
            for models in sequences.split(together)
        ]
        return torch.cat([stitch_halo(output, length, content, halo) for output in outputs])


def _pass(
    step: Callable[[Tensor, Tensor, None], Tensor],
    windows: Tensor,
    places: Tensor,
    like: Tensor,
) -> Tensor:
    """All windows of a few models through `step`, a batch at a time."""
    models = len(windows)
    flat = windows.flatten(0, 1)
    places = places.repeat(models, 1, 1)
    outputs = [
        step(values.to(like), at.to(like.device), None).to(windows)
        for values, at in zip(flat.split(BATCH), places.split(BATCH), strict=True)
    ]
    return torch.cat(outputs).unflatten(0, (models, -1))


def content_of(length: int, window: int, halo: int) -> tuple[int, int]:
    """Content and halo of each window; a sequence that fits needs no halo.

    Raises:
        ValueError: the window has no room beside its two halos.
    """
    if length <= window:
        return length, 0
    if halo < 0 or window - 2 * halo < 1:
        raise ValueError(
            f"window={window}, halo={halo}: the halo must be at least 0 and less than half of the "
            "window; choose a smaller halo"
        )
    return window - 2 * halo, halo


@contextmanager
def evaluating(model: Sane) -> Iterator[None]:
    """Evaluation mode for a while; every submodule gets its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
