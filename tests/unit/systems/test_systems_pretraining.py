import functools

import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from mzsane.data import Batch
from mzsane.data.loader import as_it_is
from mzsane.losses import (
    LatentCycle,
    LatentNorm,
    MaskedReconstruction,
    NTXent,
    SaneLoss,
    Term,
)
from mzsane.models import Sane
from mzsane.systems import Pretraining

D_TOKEN, WINDOW = 6, 5


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    mask = torch.ones(3, WINDOW, D_TOKEN, dtype=torch.bool)
    mask[:, :, -1] = False
    values = torch.randn(3, 2, WINDOW, D_TOKEN, generator=generator) * mask[:, None]
    positions = torch.arange(WINDOW)[None, :, None].expand(3, WINDOW, 3)
    number = torch.arange(3)
    segment = torch.zeros(3, WINDOW, dtype=torch.int64)
    return Batch(values, mask, positions, segment, number % 2, number, number % 2, mixed=False)


class Scale(torch.nn.Module):
    """Not one of torch's own layers, which it compiles within others only."""

    def __init__(self):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x):
        return (x * self.factor).sin()


class Scales(torch.nn.Module):
    """An autoencoder without type checks in its way, which torch cannot compile."""

    def __init__(self):
        super().__init__()
        self.down, self.up = Scale(), Scale()

    def encode(self, values, positions, segment):
        return self.down(values)

    def decode(self, latents, positions, segment):
        return self.up(latents)

    def project(self, latents, segment):
        return latents.flatten(1)


def sane():
    return Sane(D_TOKEN, 8, 2, 1, 3, WINDOW, max_positions=[WINDOW] * 3)


def system(model=sane, **settings):
    torch.manual_seed(0)
    return Pretraining(
        model(),
        SaneLoss(MaskedReconstruction("token"), NTXent()),
        functools.partial(torch.optim.AdamW, lr=0.1, weight_decay=0.5),
        functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1),
        total_steps=4,
        sources=("a", "b"),
        **settings,
    )


def with_kinds():
    return Sane(D_TOKEN, 8, 2, 1, 3, WINDOW, positions="relative", layer_kind=True)


@pytest.mark.parametrize("model", [sane, with_kinds])
def test_only_the_weights_of_linear_layers_decay(model):
    module = system(model)
    decayed, free = module.configure_optimizers()["optimizer"].param_groups
    names = {id(p): name for name, p in module.model.named_parameters()}
    assert len(decayed["params"]) + len(free["params"]) == len(names)
    linear = {id(m.weight) for m in module.modules() if isinstance(m, torch.nn.Linear)}
    assert {names[id(p)] for p in decayed["params"]} == {names[at] for at in linear}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.5, 0.0)


def test_compiled_parts_run_and_keep_names_and_numbers(batch, monkeypatch):
    compiled = torch.compile
    graphs = []

    def record(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(compiled, backend=record))
    plain, fast = system(Scales), system(Scales, compile=True)
    fast.setup("fit")
    assert fast.state_dict().keys() == plain.state_dict().keys()
    losses = [module._step(batch, 0.1, 0.0)[0]["loss"] for module in (plain, fast)]
    assert graphs
    torch.testing.assert_close(*losses)


def test_the_target_is_clean_and_the_input_is_not(batch):
    module, seen = system(), {}
    module.model.encode = functools.partial(_remember, seen, "inputs", module.model.encode)
    module.loss.forward = functools.partial(_remember, seen, "outputs", module.loss.forward)
    module._step(batch, 0.1, 0.0)
    clean = batch.values.flatten(0, 1)
    assert torch.equal(seen["outputs"][0].target, clean)
    assert not torch.equal(seen["inputs"][0], clean)


def test_views_of_a_sample_meet_in_the_contrastive_loss(batch):
    same = batch._replace(values=batch.values[:, :1].expand(-1, 2, -1, -1))
    module, seen = system(), {}
    module.loss.forward = functools.partial(_remember, seen, "loss", module.loss.forward)
    module._step(same, 0.0, 0.0)
    z_a, z_b = seen["loss"][0].projections.unbind(1)
    torch.testing.assert_close(z_a, z_b)
    assert not torch.equal(z_a[0], z_a[1])


def test_the_step_encodes_at_its_own_places(batch):
    module, seen = system(), {}
    module.loss.forward = functools.partial(_remember, seen, "loss", module.loss.forward)
    padded = batch.segment.clone()
    padded[0, 3:] = -1
    module._step(batch._replace(segment=padded, mixed=True), 0.0, 0.0)
    (step,) = seen["loss"]
    torch.testing.assert_close(step.encode(step.target), step.latents)
    assert torch.equal(step.segment, padded.repeat_interleave(2, 0))


def test_weighted_terms_are_trained_and_logged_by_name(batch):
    plain = system()._step(batch, 0.1, 0.0)[0]
    module = system()
    terms = {"cycle": Term(LatentCycle(), 0.5), "norm": Term(LatentNorm(), 0.0)}
    module.loss = SaneLoss(MaskedReconstruction("token"), NTXent(), terms=terms)
    parts = module._step(batch, 0.1, 0.0)[0]
    assert parts.keys() == {"loss", "reconstruction", "contrastive", "cycle"}
    torch.testing.assert_close(parts["loss"], plain["loss"] + 0.5 * parts["cycle"])


def quick_trainer(folder):
    return pl.Trainer(
        default_root_dir=folder, accelerator="cpu", max_epochs=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip


def test_every_source_has_its_own_metrics(batch, tmp_path):
    module, trainer = system(), quick_trainer(tmp_path)
    one, two = (DataLoader([batch] * n, batch_size=None, collate_fn=as_it_is) for n in (1, 2))
    trainer.fit(module, one, two)
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert found["train/share/a"] == pytest.approx(2 / 3)
    assert found["train/share/b"] == pytest.approx(1 / 3)
    with torch.no_grad():
        outputs = module._step(batch, 0.0, 0.0)[1].unflatten(0, (3, 2))
    for at, name in enumerate("ab"):
        mine = batch.source == at
        real = batch.mask[mine][:, None].expand_as(outputs[mine])
        error = (outputs[mine] - batch.values[mine])[real].square().mean().item()
        variance = batch.values[mine][real].var(correction=0).item()
        assert found[f"val/mse/{name}"] == pytest.approx(error)
        assert found[f"val/r2/{name}"] == pytest.approx(1 - error / variance, abs=1e-6)


def test_entries_are_erased_in_training_and_not_in_validation(batch, tmp_path):
    module, shares = system(sigma=0.0, erase=0.5), {True: [], False: []}
    encode = module.model.encode

    def spy(inputs, *rest):
        real = batch.mask.repeat_interleave(2, 0)
        shares[module.training].append((inputs[real] == 0).float().mean().item())
        return encode(inputs, *rest)

    module.model.encode = spy
    loaders = [DataLoader([batch] * 2, batch_size=None, collate_fn=as_it_is)] * 2
    quick_trainer(tmp_path).fit(module, *loaders)
    assert [0.3 < share < 0.7 for share in shares[True]] == [True, True]
    assert set(shares[False]) == {0.0}


@pytest.fixture
def packed(batch):
    """The first window holds two models, of other kinds of layers, and padding."""
    kinds = torch.tensor([[0, 2, 2, 1, 0], [2, 2, 1, 1, 1], [0, 0, 0, 0, 0]])
    positions = torch.cat([batch.positions, kinds[..., None]], dim=-1)
    segment = torch.zeros_like(batch.segment)
    segment[0] = torch.tensor([0, 0, 1, 1, -1])
    mask = batch.mask & (segment >= 0)[..., None]
    values = batch.values * mask[:, None]
    return batch._replace(
        values=values, mask=mask, positions=positions, segment=segment, mixed=True
    )


def test_r_squared_of_a_kind_of_layer_is_that_of_its_real_weights(packed, tmp_path):
    module, trainer = system(kinds=("x", "y", "z", "unseen")), quick_trainer(tmp_path)
    loaders = [DataLoader([packed] * 2, batch_size=None, collate_fn=as_it_is)] * 2
    trainer.fit(module, *loaders)
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    with torch.no_grad():
        outputs = module._step(packed, 0.0, 0.0)[1].unflatten(0, (3, 2))
    members = {}
    for at, view, place, entry in torch.cartesian_prod(*map(torch.arange, outputs.shape)).tolist():
        if packed.mask[at, place, entry]:
            name = f"{'ab'[packed.source[at]]}/{'xyz'[packed.positions[at, place, -1]]}"
            pair = outputs[at, view, place, entry].item(), packed.values[at, view, place, entry]
            members.setdefault(name, []).append(pair)
    assert sorted(members) == ["a/x", "a/y", "a/z", "b/y", "b/z"]
    assert {name for name in found if name.count("/") == 3} == {f"val/r2/{n}" for n in members}
    for name, pairs in members.items():
        output, target = torch.tensor(pairs, dtype=torch.float64).unbind(1)
        explained = 1 - (output - target).square().mean() / target.var(correction=0)
        assert found[f"val/r2/{name}"] == pytest.approx(explained.item(), abs=1e-5)


def test_segments_reach_the_model_only_where_windows_are_mixed(batch):
    seen = {}
    for mixed in (False, True):
        module = system()
        module.model.encode = functools.partial(_remember, seen, mixed, module.model.encode)
        module._step(batch._replace(mixed=mixed), 0.0, 0.0)
    assert seen[False][2] is None
    assert torch.equal(seen[True][2], batch.segment.repeat_interleave(2, 0))


def _remember(seen, name, function, *arguments):
    seen[name] = arguments
    return function(*arguments)


def test_a_run_too_short_for_its_schedule_is_refused_in_a_sentence():
    module = system()
    module.total_steps = 10
    module.scheduler = functools.partial(module.scheduler, pct_start=0.1)
    with pytest.raises(ValueError, match="10 steps leave one of its phases without any"):
        module.configure_optimizers()


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_gradients_are_clipped_before_a_fused_step(batch, tmp_path, precision):
    module, norms = system(), []
    module.optimizer = functools.partial(torch.optim.SGD, lr=0.1, fused=True)

    class Norm(pl.Callback):
        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            norms.append(torch.nn.utils.get_total_norm(gradients).item())

    trainer = pl.Trainer(
        default_root_dir=tmp_path, accelerator="cpu", max_epochs=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        gradient_clip_val=1e-3, precision=precision, callbacks=[Norm()],
    )  # fmt: skip
    module.scheduler = lambda optimizer, total_steps: torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 1.0
    )
    trainer.fit(module, DataLoader([batch] * 3, batch_size=None, collate_fn=as_it_is))
    assert [norm for norm in norms if norm] == pytest.approx([1e-3] * 2, rel=1e-2)
