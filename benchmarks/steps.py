"""A step of pretraining by itself: a system, its optimizer and a batch of random windows."""

from functools import partial
from typing import Any, NamedTuple

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from benchmarks.inputs import RESNET18, RESNET18_TOKEN, state_of
from mzsane.config import CONF_DIR
from mzsane.data import Batch
from mzsane.losses import MaskedReconstruction, NTXent, SaneLoss
from mzsane.models import Sane
from mzsane.schemas import register_schemas
from mzsane.systems import Pretraining, constant
from mzsane.tokens import Layout


class Size(NamedTuple):
    """A model and its batch; `layers` are those of encoder and of decoder."""

    d_model: int
    heads: int
    layers: int
    latent: int
    window: int
    batch: int
    positions: str = "sinusoidal"
    max_positions: tuple[int, ...] | None = None

    @property
    def tokens(self) -> int:
        """Tokens of a step, those of both views counted."""
        return self.batch * 2 * self.window

    @property
    def name(self) -> str:
        """For tables."""
        return f"width {self.d_model}, {self.layers} + {self.layers} layers"


SMALL = Size(256, 8, 4, 64, 64, 32)
MIDDLE = Size(512, 8, 6, 128, 128, 16)
SANE_BASE = Size(2048, 16, 8, 128, 256, 32, "learned", (60_000, 150, 600))
"""As in conf/model/sane_base.yaml, with the window of conf/experiment/mz_sane.yaml."""


class OneStep:
    """Noise, both transformers, loss, gradients, AdamW.

    Args:
        size: of the model and its batch.
        precision: ``float32`` or ``bf16-mixed``.
        plain: torch's own blocks for ours.
        device: where it runs.
        seed: of weights and inputs.
        options: of `Pretraining`.
    """

    def __init__(
        self,
        size: Size,
        precision: str,
        plain: bool = False,
        device: str = "cpu",
        seed: int = 0,
        **options: Any,
    ) -> None:
        torch.manual_seed(seed)
        self.device, self.mixed = device, precision == "bf16-mixed"
        model = Sane(
            RESNET18_TOKEN, *size[:5], positions=size.positions, max_positions=size.max_positions
        )
        if plain:
            model.encoder, model.decoder = (PlainTransformer(size) for _ in range(2))
        self.system = _system(model, options).to(device)
        self.system.setup("fit")
        self.optimizer = self.system.configure_optimizers()["optimizer"]
        self.batch = self.system.transfer_batch_to_device(
            batch_of(size, seed), torch.device(device), 0
        )
        self.system._shown = self.system._shown.to(device)

    def take(self) -> None:
        """One step."""
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.mixed):
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

    def __init__(self, size: Size) -> None:
        super().__init__()
        width, heads = size.d_model, size.heads
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True, bias=False
        )
        self.blocks = nn.TransformerEncoder(block, size.layers, enable_nested_tensor=False)

    def forward(self, x: Tensor, segment: Tensor | None = None) -> Tensor:
        """Transform windows."""
        return self.blocks(x, src_key_padding_mask=None if segment is None else segment < 0)


def batch_of(size: Size, seed: int) -> Batch:
    """Random values in windows of a ResNet-18."""
    layout = Layout.of(state_of(RESNET18, seed), RESNET18_TOKEN)
    generator = torch.Generator().manual_seed(seed)
    last = layout.num_tokens - size.window
    starts = torch.randint(last + 1, (size.batch,), generator=generator)
    places = starts[:, None] + torch.arange(size.window)
    mask = layout.mask[places]
    shape = (size.batch, 2, size.window, RESNET18_TOKEN)
    values = 0.1 * torch.randn(shape, generator=generator)
    return Batch(
        values=values.masked_fill(~mask[:, None], 0.0),
        mask=mask,
        positions=layout.positions[places],
        segment=torch.zeros(size.batch, size.window, dtype=torch.int64),
        source=torch.zeros(size.batch, dtype=torch.int64),
        key=torch.arange(size.batch),
        shelf=torch.zeros(size.batch, dtype=torch.int64),
        mixed=False,
    )


def _system(model: Sane, options: dict[str, Any]) -> Unlogged:
    """With the optimizer that the command takes."""
    register_schemas()  # with them, what the file computes from the model's width
    told = OmegaConf.load(CONF_DIR / "optimizer" / "adamw.yaml")
    sizes = {"d_model": model.settings["d_model"]}
    optimizer: partial[torch.optim.Optimizer] = instantiate(
        OmegaConf.create({"optimizer": told, "model": sizes}).optimizer
    )
    loss = SaneLoss(MaskedReconstruction(), NTXent())
    return Unlogged(model, loss, optimizer, constant, 1, ("random",), **options)
