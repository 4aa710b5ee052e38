"""One step of pretraining: noise, both transformers, loss, gradients, AdamW."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.inputs import RESNET18, RESNET18_TOKEN, state_of
from benchmarks.memory import peak_memory
from benchmarks.results import Measurement, Settings
from benchmarks.timing import Spread, Work, alternate
from mzsane.data import Batch
from mzsane.losses import MaskedReconstruction, NTXent, SaneLoss
from mzsane.models import Sane
from mzsane.systems import Pretraining
from mzsane.tokens import Layout

WIDTH, HEADS, LAYERS, LATENT, WINDOW, BATCH = 256, 8, 4, 64, 64, 32
TOKENS = BATCH * 2 * WINDOW
PLAIN = "torch's TransformerEncoder for both transformers; loss, noise and optimiser the same"
TARGETS = {"float32": 3500.0, "bf16-mixed": 5000.0}


def run(settings: Settings) -> list[Measurement]:
    """Tokens a second, those of both views counted, and the memory of a few steps."""
    measured = []
    for precision, target in TARGETS.items():
        steps = (Step(plain, precision, settings).take for plain in (False, True))
        own, plain = (spread.rate(TOKENS) for spread in alternate(*steps, settings.repeats))
        name = f"step of width {WIDTH}, {LAYERS} + {LAYERS} layers, {precision}"
        measured.append(Measurement(name, "tokens/s", own, plain, target, PLAIN))
        if settings.device == "cpu":
            memory = [Spread.of([peak_memory(_steps, plain, precision)]) for plain in (False, True)]
            measured.append(Measurement(f"its peak memory, {precision}", "GB", *memory, 1.0))
    return measured


class Step:
    """A system, its optimiser and a batch."""

    def __init__(self, plain: bool, precision: str, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        self.device, self.mixed = settings.device, precision == "bf16-mixed"
        sizes = (RESNET18_TOKEN, WIDTH, HEADS, LAYERS, LATENT, WINDOW)
        model = Sane(*sizes, positions="sinusoidal")
        if plain:
            model.encoder, model.decoder = (PlainTransformer() for _ in range(2))
        self.system = Unlogged(
            model,
            SaneLoss(MaskedReconstruction(), NTXent()),
            partial(torch.optim.AdamW, lr=1e-3),
            partial(torch.optim.lr_scheduler.LinearLR, total_iters=0),
            total_steps=1,
            sources=("random",),
        ).to(self.device)
        self.optimizer = torch.optim.AdamW(self.system.parameters())
        self.batch = Batch(*(part.to(self.device) for part in _batch(settings.seed)))

    def take(self) -> None:
        """One step."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.mixed):
            loss = self.system.training_step(self.batch, 0)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


class Unlogged(Pretraining):
    """Pretraining without a trainer."""

    def log(self, *arguments: Any, **options: Any) -> None:
        """Nowhere to log to."""


class PlainTransformer(nn.Module):
    """The same blocks out of torch's box."""

    def __init__(self) -> None:
        super().__init__()
        block = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True, bias=False
        )
        self.blocks = nn.TransformerEncoder(block, LAYERS, enable_nested_tensor=False)

    def forward(self, x: Tensor, segment: Tensor | None = None) -> Tensor:
        """Transform windows."""
        return self.blocks(x, src_key_padding_mask=None if segment is None else segment < 0)


def _steps(plain: bool, precision: str) -> None:
    """What memory is measured of."""
    take: Work = Step(plain, precision, Settings()).take
    for _ in range(3):
        take()


def _batch(seed: int) -> Batch:
    """Random values in windows of a ResNet-18."""
    layout = Layout.of(state_of(RESNET18, seed), RESNET18_TOKEN)
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(layout.num_tokens - WINDOW + 1, (BATCH,), generator=generator)
    places = starts[:, None] + torch.arange(WINDOW)
    mask = layout.mask[places]
    values = 0.1 * torch.randn(BATCH, 2, WINDOW, RESNET18_TOKEN, generator=generator)
    return Batch(
        values=values.masked_fill(~mask[:, None], 0.0),
        mask=mask,
        positions=layout.positions[places],
        segment=torch.zeros(BATCH, WINDOW, dtype=torch.int64),
        source=torch.zeros(BATCH, dtype=torch.int64),
        key=torch.arange(BATCH),
        shelf=torch.zeros(BATCH, dtype=torch.int64),
        mixed=False,
    )
