"""What decays, and what is clipped, of every kind of model and in every precision."""

import functools

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch.utils.data import DataLoader

from mzsane.data import Batch
from mzsane.data.loader import as_it_is
from mzsane.losses import MaskedReconstruction, NTXent, SaneLoss
from mzsane.models import Sane
from mzsane.systems import Pretraining
from mzsane.tokens import Layout

D_TOKEN, WINDOW, CLIP = 6, 5, 1e-3
PLACES = Layout.of({"weight": torch.zeros(2, 2)}).positions.shape[1]
FREE = ("norm", "bias", "positions", "kind", "head.layers.1", "head.layers.4")  # LayerNorms


def system(optimizer, **settings):
    torch.manual_seed(0)
    return Pretraining(
        Sane(D_TOKEN, 8, 2, 1, 4, WINDOW, max_positions=[WINDOW] * 3, **settings),
        SaneLoss(MaskedReconstruction("token"), NTXent()),
        optimizer,
        lambda made, total_steps: torch.optim.lr_scheduler.LambdaLR(made, lambda step: 1.0),
        total_steps=4,
        sources=("a",),
    )


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "relative"])
@pytest.mark.parametrize(
    "settings", [{}, {"pooling": "mean", "init": "published"}, {"layer_kind": True}]
)
def test_norms_biases_positions_and_embeddings_never_decay(positions, settings):
    adamw = functools.partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5, fused=True)
    module = system(adamw, positions=positions, **settings)
    decayed, free = module.configure_optimizers()["optimizer"].param_groups
    names = {p: name for name, p in module.model.named_parameters()}
    assert {*decayed["params"], *free["params"]} == set(names)
    for name in (names[p] for p in decayed["params"]):
        assert not any(part in name for part in FREE), name
    for name in (names[p] for p in free["params"]):
        assert any(part in name for part in FREE), name
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.5, 0.0)


@pytest.fixture
def batch():
    values = torch.randn(3, 2, WINDOW, D_TOKEN, generator=torch.Generator().manual_seed(0))
    positions = torch.zeros(3, WINDOW, PLACES, dtype=torch.int64)
    segment, one = torch.zeros(3, WINDOW, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)
    mask = torch.ones(3, WINDOW, D_TOKEN, dtype=torch.bool)
    return Batch(values, mask, positions, segment, one, torch.arange(3), one, mixed=False)


class Steps(pl.Callback):
    """Norms of the gradients that the optimizer gets, and how far it goes."""

    def __init__(self):
        self.norms, self.before = [], None
        self.lengths = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.before = _flat(pl_module.parameters())

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self.norms.append(torch.nn.utils.get_total_norm(gradients).item())

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.lengths.append((_flat(pl_module.parameters()) - self.before).norm().item())


def _flat(tensors):
    return torch.cat([t.detach().flatten() for t in tensors])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
@pytest.mark.parametrize("fused", [False, True])
def test_a_step_goes_as_far_as_the_clipped_gradient(batch, tmp_path, precision, fused):
    """Of 16-mixed with the scaler that GPUs need: it is taken off before clipping, and once."""
    steps = Steps()
    plugin = {"precision": precision}
    if precision == "16-mixed":  # Lightning gives a CPU no scaler
        scaler = torch.amp.GradScaler("cpu", init_scale=1024)
        plugin = {"plugins": [MixedPrecision("16-mixed", "cpu", scaler)]}
    trainer = pl.Trainer(
        default_root_dir=tmp_path, accelerator="cpu", max_epochs=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        gradient_clip_val=CLIP, callbacks=[steps], **plugin,
    )  # fmt: skip
    module = system(functools.partial(torch.optim.SGD, lr=1.0, fused=fused))
    trainer.fit(module, DataLoader([batch] * 3, batch_size=None, collate_fn=as_it_is))
    assert steps.lengths == pytest.approx([CLIP] * 3, rel=2e-2)
