"""Embed one ResNet-18; draw one from five anchors and decode it."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from sklearn.neighbors import KernelDensity
from torch import Tensor

from benchmarks.inputs import RESNET18, RESNET18_TOKEN, state_of
from benchmarks.memory import peak_memory
from benchmarks.results import Measurement, Settings
from benchmarks.steps import SMALL
from benchmarks.timing import Spread, seconds
from mzsane.models import Sane
from mzsane.sampling import KDE, Anchors, decode_models, encode_states
from mzsane.tokens import Layout

ANCHORS = 5
TOKENS = 2048  # of the reference, whose time is scaled to all
WINDOW, HALO = 152, 12  # 128 tokens of content


def run(settings: Settings) -> list[Measurement]:
    """Seconds of embedding, drawing and decoding; memory of embedding."""
    layout = Layout.of(state_of(RESNET18, settings.seed), RESNET18_TOKEN)
    anchors, model = random_anchors(layout, settings.seed), autoencoder(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    density = KDE("token", bandwidth=0.2)

    def draw() -> Float[Tensor, "one tokens latent"]:
        return density.sample(anchors.latents, anchors.layers, 1, generator)

    drawn = draw()
    own = seconds(draw, settings.repeats).times(1e3)
    few = anchors.latents[:, :TOKENS]
    plain = seconds(lambda: plain_draw(few, settings.seed), settings.few)
    plain = plain.times(1e3 * layout.num_tokens / TOKENS)
    embedding = seconds(lambda: embed(layout, model, settings.seed), settings.few)
    decoding = seconds(lambda: decode_models(model, drawn, anchors, WINDOW, HALO), settings.few)
    memory = Spread.of([peak_memory(embedded, settings.seed)])
    size = f"{layout.num_tokens:,} x {SMALL.latent} latents, {ANCHORS} anchors"
    note = f"one scikit-learn estimator a token; measured on {TOKENS:,} tokens and scaled"
    what = f"{SMALL.name}, windows of {WINDOW} with a halo of {HALO}"
    return [
        Measurement("embed a ResNet-18", "s", embedding, None, 3, what),
        Measurement("peak memory of it", "GB", memory, None, 0.8),
        Measurement(f"draw {size}", "ms", own, plain, 50, note),
        Measurement("decode a ResNet-18", "s", decoding, None, 5, what),
    ]


def autoencoder(seed: int) -> Sane:
    """Untrained, of the size that the published figures are for."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        size = SMALL
        return Sane(
            RESNET18_TOKEN, size.d_model, size.heads, size.layers, size.latent, size.window,
            positions="sinusoidal",
        ).eval()  # fmt: skip


def random_anchors(layout: Layout, seed: int) -> Anchors:
    """Latents without meaning, beside the buffers of an untrained network."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(ANCHORS, layout.num_tokens, SMALL.latent, generator=generator)
    carried = layout.carry(stacked(state_of(RESNET18, seed), ANCHORS))
    names = tuple(f"anchor{n}" for n in range(ANCHORS))
    return Anchors("random", layout, RESNET18, names, carried, latents)


def embed(layout: Layout, model: Sane, seed: int) -> Anchors:
    """The latents of one network."""
    states = stacked(state_of(RESNET18, seed), 1)
    return encode_states(model, layout, states, ["one"], RESNET18, "random", WINDOW, HALO)


def stacked(state: Mapping[str, Tensor], models: int) -> dict[str, Tensor]:
    """The same network several times."""
    return {name: tensor.expand(models, *tensor.shape) for name, tensor in state.items()}


def embedded(seed: int) -> None:
    """`embed` with all it needs, for a process of its own."""
    embed(Layout.of(state_of(RESNET18, seed), RESNET18_TOKEN), autoencoder(seed), seed)


def plain_draw(latents: Tensor, seed: int) -> Tensor:
    """Token by token, each dimension scaled to the spread of its anchors."""
    values, drawn = latents.numpy(), []
    for token in range(values.shape[1]):
        anchors = values[:, token]
        spread = anchors.std(0)
        density = KernelDensity(bandwidth=0.2).fit(anchors / spread)
        drawn.append(density.sample(1, random_state=seed + token)[0] * spread)
    return torch.from_numpy(np.stack(drawn))
