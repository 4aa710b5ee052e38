"""Two processes train the run of one: gradients, weights, figures, checkpoints and mistakes."""

import functools
import os
import signal
import socket

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch.distributed.tensor import DTensor

from mzsane.callbacks import Finite, LastCheckpoint, Throughput
from mzsane.data import ZooData
from mzsane.losses import (
    LatentCycle,
    LatentNorm,
    LatentVariance,
    MaskedReconstruction,
    NTXent,
    SaneLoss,
    Term,
)
from mzsane.models import Sane
from mzsane.stores import TokenStore
from mzsane.systems import FullySharded, Pretraining

NORMALIZATIONS = ("token", "token_dim", "window", "layer", "batch", "none")
CASES = {
    **{name: {"normalization": name} for name in NORMALIZATIONS},
    "clipped": {"gradient_clip_val": 0.1},
    "accumulated": {"accumulate_grad_batches": 2},
    "averaged": {"average": 0.5},
    "sharded": {"strategy": "fsdp", "normalization": "layer", "gradient_clip_val": 0.1},
    "sharded_accumulated": {"strategy": "fsdp", "accumulate_grad_batches": 2},
}
GOING_ON = {"ddp": {}, "fsdp": {"strategy": "fsdp"}, "averaged": {"average": 0.5}}
SOURCES, BATCH, STEPS = ("a", "b"), 8, 5


class Gradients(pl.Callback):
    """Remembers the gradients of each step."""

    def __init__(self):
        self.steps = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        named = {name: p.grad for name, p in pl_module.named_parameters() if p.grad is not None}
        self.steps.append({name: whole(gradient).clone() for name, gradient in named.items()})


class Interrupt(pl.Callback):
    """Sends a signal to one process in the middle of a step."""

    def __init__(self, rank):
        self.rank = rank

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if (trainer.global_step, trainer.global_rank) == (1, self.rank):
            os.kill(os.getpid(), signal.SIGTERM)


class Poison(pl.Callback):
    """Makes the loss of one process no number."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.global_step, trainer.global_rank) == (2, trainer.world_size - 1):
            batch.values.fill_(torch.nan)


def whole(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def loss(normalization):
    latent = {"cycle": LatentCycle(), "norm": LatentNorm(), "variance": LatentVariance()}
    terms = {name: Term(term, 0.1) for name, term in latent.items()}
    return SaneLoss(MaskedReconstruction(normalization), NTXent(), gamma=0.3, terms=terms)


def fit(store, folder, normalization="token", strategy="ddp", average=0, more=(), **settings):
    """Train for two epochs, or go on; on as many processes as this is one of."""
    pl.seed_everything(0, verbose=False)
    data = ZooData(dict.fromkeys(SOURCES, TokenStore.open(store)), 48, BATCH, STEPS * BATCH)
    steps = data.total_steps(2, -1, settings.get("accumulate_grad_batches", 1))
    system = Pretraining(
        Sane(data.d_token, 16, 2, 1, 4, 48, positions="sinusoidal"),
        loss(normalization),
        functools.partial(torch.optim.AdamW, lr=1e-3, fused=True),
        functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=1e-3),
        total_steps=steps,
        sources=SOURCES,
    )
    last, gradients = LastCheckpoint(folder / "checkpoints", 0), Gradients()
    averaging = [EMAWeightAveraging(use_buffers=False, decay=average)] if average else []
    devices = 2 if "LOCAL_RANK" in os.environ else 1
    several = FullySharded() if strategy == "fsdp" else strategy
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
        callbacks=[last, gradients, Throughput(), *averaging, *more], default_root_dir=folder,
        devices=devices, log_every_n_steps=1, strategy=several if devices > 1 else "auto",
        **settings,
    )  # fmt: skip
    assert trainer.world_size == devices
    path = last.path if last.path.exists() else None
    trainer.fit(system, datamodule=data, ckpt_path=path, weights_only=True)
    metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
    return {"gradients": gradients.steps, "metrics": metrics}


def interrupted(store, folder, settings, rank):
    with pytest.raises(SystemExit) as stop:
        fit(store, folder, more=[Interrupt(rank)], **settings)
    return stop.value.code


def poisoned(store, folder):
    with pytest.raises((ValueError, SystemExit)) as stop:
        fit(store, folder, more=[Finite(), Poison()])
    return stop.type.__name__, str(stop.value)


def refused(store, folder):
    with pytest.raises(ValueError, match="averaging keeps a whole copy") as stop:
        fit(store, folder, strategy="fsdp", average=0.5)
    return str(stop.value)


def on_one_rank(rank, port, folder, store):
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
    }  # fmt: skip
    done = {name: fit(store, folder / "two" / name, **CASES[name]) for name in CASES}
    for name, settings in GOING_ON.items():
        done[f"on_{name}"] = fit(store, folder / "one_two" / name, **settings)
        done[f"stop_{name}"] = interrupted(store, folder / "two_one" / name, settings, rank=1)
    done["refused"] = refused(store, folder / "refused")
    done["poisoned"] = poisoned(store, folder / "poisoned")
    torch.save(done, folder / f"rank{rank}.pt")


@pytest.fixture(scope="module")
def runs(store, tmp_path_factory):
    """What each of two processes saw, the folder of all runs, and how to make the run of one."""
    folder = tmp_path_factory.mktemp("distributed")
    for name, settings in GOING_ON.items():
        interrupted(store.path, folder / "one_two" / name, settings, rank=0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(on_one_rank, (port, folder, store.path), nprocs=2)
    ranks = [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]

    @functools.cache
    def one(name):
        return fit(store.path, folder / "one" / name, **(CASES | GOING_ON)[name])

    return folder, ranks, one


def checkpoint(folder):
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, atol=2e-6 * max(1, value.abs().max().item()), rtol=1e-4
        )


def assert_same_run(found, expected):
    """Checkpoints of the same place in the same run, whoever wrote them."""
    assert found.keys() == expected.keys()
    assert_close(found["state_dict"], expected["state_dict"])
    ours, theirs = (c["optimizer_states"][0] for c in (found, expected))
    assert ours["param_groups"] == theirs["param_groups"]
    assert ours["state"].keys() == theirs["state"].keys()
    for number, state in theirs["state"].items():
        assert_close(ours["state"][number], state)
    assert found["lr_schedulers"] == expected["lr_schedulers"]
    assert found["ZooData"] == expected["ZooData"]
    assert torch.equal(found["shown"], expected["shown"])


@pytest.mark.parametrize("name", CASES)
def test_two_processes_have_the_gradients_of_one(runs, name):
    _, ranks, one = runs
    expected = one(name)["gradients"]
    assert len(expected) == (6 if "accumulated" in name else 10)
    for rank in ranks:
        for ours, theirs in zip(rank[name]["gradients"], expected, strict=True):
            assert_close(ours, theirs)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_end_where_one_does(runs, name):
    folder, _, one = runs
    one(name)
    assert_same_run(*(checkpoint(folder / number / name) for number in ("two", "one")))


@pytest.mark.parametrize("name", CASES)
def test_figures_are_those_of_one_process(runs, name):
    _, ranks, one = runs
    expected = one(name)["metrics"]
    shown = ("val/r2", "val/mse", "val/contrastive", "train/share")
    names = {n for n in expected if n.startswith(shown)}
    assert len(names) >= 6
    for rank in ranks:
        assert rank[name]["metrics"].keys() == expected.keys()
        for figure in names:
            assert rank[name]["metrics"][figure] == pytest.approx(expected[figure], rel=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_the_logged_norm_of_the_gradient_is_that_of_all_shares(runs, name):
    _, ranks, one = runs
    last = one(name)["gradients"][-1].values()
    norm = sum(gradient.square().sum().item() for gradient in last) ** 0.5
    for metrics in (one(name)["metrics"], *(rank[name]["metrics"] for rank in ranks)):
        assert metrics["train/gradient_norm"] == pytest.approx(norm, rel=1e-4)


@pytest.mark.parametrize("name", GOING_ON)
def test_a_run_of_one_process_goes_on_with_two(runs, name):
    folder, ranks, one = runs
    whole_run = one(name)
    assert len(ranks[0][f"on_{name}"]["gradients"]) == 8
    assert_same_run(checkpoint(folder / "one_two" / name), checkpoint(folder / "one" / name))
    assert ranks[0][f"on_{name}"]["metrics"]["train/share/a"] == pytest.approx(
        whole_run["metrics"]["train/share/a"]
    )


@pytest.mark.parametrize("name", GOING_ON)
def test_a_run_of_two_processes_goes_on_with_one(runs, store, name):
    folder, ranks, one = runs
    one(name)
    # a signal to the second process ends both, at the next step at which they agree
    assert [rank[f"stop_{name}"] for rank in ranks] == [143, 0]
    assert checkpoint(folder / "two_one" / name)["global_step"] == STEPS
    fit(store.path, folder / "two_one" / name, **GOING_ON[name])
    assert_same_run(checkpoint(folder / "two_one" / name), checkpoint(folder / "one" / name))


def test_a_loss_that_is_no_number_on_one_process_ends_all_in_one_sentence(runs):
    folder, ranks, _ = runs
    (kind, said), other = (rank["poisoned"] for rank in ranks)
    assert kind == "ValueError"
    assert "the loss is not finite at step 3, in a batch of" in said
    assert other == ("SystemExit", "0")
    assert not (folder / "poisoned" / "checkpoints" / "last.ckpt").exists()


def test_averaging_is_refused_where_weights_are_divided(runs):
    _, ranks, _ = runs
    assert all("take trainer=ddp" in rank["refused"] for rank in ranks)
