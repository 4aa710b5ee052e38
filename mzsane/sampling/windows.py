"""Whole models through an autoencoder that sees a window at a time."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import chain
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.models import Sane
from mzsane.tokens import halo_own, halo_places

PASS = {"cpu": 2**11, "cuda": 2**14}
"""Tokens in one pass, by kind of device: few enough for a processor's caches, many enough to keep a
GPU busy. It bounds the memory of activations."""

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
    """Pass sequences through `step`; what each window gives for its content, put together."""
    models, length = sequences.shape[:2]
    model.check_positions(positions.amax(0).tolist())
    content, halo = content_of(length, window, halo)
    with evaluating(model):
        found = _passes(step, sequences, positions, content, halo, next(model.parameters()))
        return _joined(found, models * length).unflatten(0, (models, length))


def _passes(
    step: Callable[[Tensor, Tensor, None], Tensor],
    sequences: Tensor,
    positions: Tensor,
    content: int,
    halo: int,
    like: Tensor,
) -> Iterator[Tensor]:
    """What `step` gives for the tokens of one model after the other, a few windows at a time.

    Windows are cut out when their turn comes: all of them together take more memory than the
    models.
    """
    places = halo_places(sequences.shape[1], content, halo)
    own = halo_own(places, content)
    windows = torch.arange(len(sequences) * len(places))
    for some in windows.split(windows_of_pass(places.shape[1], like.device)):
        owner, at = some[:, None] // len(places), places[some % len(places)]
        values = sequences[owner.to(sequences.device), at.to(sequences.device)]
        outputs = step(values.to(like), positions[at].to(like.device), None)
        yield outputs[own[some % len(places)].to(outputs.device)].to(sequences)


def windows_of_pass(width: int, device: torch.device) -> int:
    """How many windows of this width one pass takes on a device."""
    return max(1, PASS.get(device.type, PASS["cuda"]) // width)


def _joined(parts: Iterable[Tensor], rows: int) -> Tensor:
    """Parts below each other, `rows` in all, each written to its place as it comes."""
    parts = iter(parts)
    first = next(parts)
    whole, done = first.new_empty(rows, *first.shape[1:]), 0
    for part in chain([first], parts):
        whole[done : done + len(part)] = part
        done += len(part)
    return whole


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
