"""Masked reconstruction under every normalisation, against a loop over masked selections."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from benchmarks.inputs import RESNET18, RESNET18_TOKEN, state_of
from benchmarks.results import Measurement, Settings
from benchmarks.timing import alternate
from mzsane.losses import MaskedReconstruction
from mzsane.tokens import Layout

BATCH, WINDOW, EPS = 64, 64, 1e-4  # 32 samples of two views
PLAIN = "select the weights of each scope, take their spread, in a Python loop"
NORMALISATIONS = ("token", "token_dim", "window", "layer", "batch", "none")


def run(settings: Settings) -> list[Measurement]:
    """Milliseconds of a forward pass over 64 windows of 64 tokens of 288."""
    inputs = _inputs(settings.seed)
    return [_measure(name, inputs, settings) for name in NORMALISATIONS]


def _measure(name: str, inputs: tuple[Tensor, ...], settings: Settings) -> Measurement:
    loss, plain = MaskedReconstruction(name, EPS), SCOPES.get(name, _everything)
    torch.testing.assert_close(loss(*inputs), plain_loss(plain, name == "none", *inputs))
    own, theirs = alternate(
        lambda: loss(*inputs), lambda: plain_loss(plain, name == "none", *inputs), settings.few
    )
    return Measurement(
        f"loss, normalised by {name}", "ms", own.times(1e3), theirs.times(1e3), None, PLAIN
    )


def plain_loss(
    scopes: Callable[[Tensor], list[Any]],
    absolute: bool,
    prediction: Tensor,
    target: Tensor,
    mask: Tensor,
    layer: Tensor,
) -> Tensor:
    """Sum of squared errors in units of their scope's spread, over the number of weights."""
    total = torch.zeros(())
    for scope in scopes(layer):
        chosen = mask[scope]
        wanted = target[scope][chosen]
        if len(wanted):
            spread = 1.0 if absolute else wanted.std(correction=0) + EPS
            total = total + ((prediction[scope][chosen] - wanted) / spread).square().sum()
    return total / mask.sum()


def _tokens(layer: Tensor) -> list[Any]:
    return [(sample, token) for sample in range(BATCH) for token in range(WINDOW)]


def _columns(layer: Tensor) -> list[Any]:
    return [(..., column) for column in range(RESNET18_TOKEN)]


def _windows(layer: Tensor) -> list[Any]:
    return list(range(BATCH))


def _layers(layer: Tensor) -> list[Any]:
    return [layer == index for index in layer.unique()]


def _everything(layer: Tensor) -> list[Any]:
    return [...]


SCOPES = {"token": _tokens, "token_dim": _columns, "window": _windows, "layer": _layers}


def _inputs(seed: int) -> tuple[Tensor, ...]:
    """Random values in windows of a ResNet-18, with its masks and layers."""
    layout = Layout.of(state_of(RESNET18, seed), RESNET18_TOKEN)
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(layout.num_tokens - WINDOW + 1, (BATCH,), generator=generator)
    places = starts[:, None] + torch.arange(WINDOW)
    target, noise = torch.randn(2, BATCH, WINDOW, RESNET18_TOKEN, generator=generator)
    return target + 0.1 * noise, target, layout.mask[places], layout.positions[places, 1]
