"""Draw the latents of one ResNet-18 from a kernel density per token over five anchors."""

import numpy as np
import torch
from sklearn.neighbors import KernelDensity
from torch import Tensor

from benchmarks.inputs import RESNET18, RESNET18_TOKEN, state_of
from benchmarks.results import Measurement, Settings
from benchmarks.timing import seconds
from mzsane.sampling import KDE
from mzsane.tokens import Layout

ANCHORS, LATENT = 5, 64
TOKENS = 2048  # of the reference, whose time is scaled to all


def run(settings: Settings) -> list[Measurement]:
    """Milliseconds a draw, fitting included."""
    layout = Layout.of(state_of(RESNET18, settings.seed), RESNET18_TOKEN)
    generator = torch.Generator().manual_seed(settings.seed)
    latents = torch.randn(ANCHORS, layout.num_tokens, LATENT, generator=generator)
    layers, sampler = layout.positions[:, 1], KDE("token", bandwidth=0.2)
    own = seconds(lambda: sampler.sample(latents, layers, 1, generator), settings.repeats)
    plain = seconds(lambda: plain_draw(latents[:, :TOKENS], settings.seed), settings.few)
    share = layout.num_tokens / TOKENS
    note = f"one scikit-learn estimator a token; measured on {TOKENS:,} tokens and scaled"
    name = f"draw {layout.num_tokens:,} x {LATENT} latents, {ANCHORS} anchors"
    return [Measurement(name, "ms", own.times(1e3), plain.times(1e3 * share), 50, note)]


def plain_draw(latents: Tensor, seed: int) -> Tensor:
    """Token by token, each dimension scaled to the spread of its anchors."""
    values, drawn = latents.numpy(), []
    for token in range(values.shape[1]):
        anchors = values[:, token]
        spread = anchors.std(0)
        density = KernelDensity(bandwidth=0.2).fit(anchors / spread)
        drawn.append(density.sample(1, random_state=seed + token)[0] * spread)
    return torch.from_numpy(np.stack(drawn))
