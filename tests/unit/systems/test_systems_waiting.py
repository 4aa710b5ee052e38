"""A step never waits for the device that it runs on, and blocks can be computed again.

Fake tensors have no values: whatever would read one, or make a shape of it, fails.
"""

import functools

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.overrides import TorchFunctionMode

from mzsane.data import Batch
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
from mzsane.systems import Pretraining, constant

SIZES = {"d_token": 6, "d_model": 16, "heads": 2, "layers": 1, "latent": 4, "window": 5}
NORMALIZATIONS = ("token", "token_dim", "window", "layer", "batch", "none")


class FromTheHost(TorchFunctionMode):
    """Refuses tensors of Python's values on the device, for whose copy the host waits."""

    def __torch_function__(self, function, types, arguments=(), settings=None):
        if function in (torch.tensor, torch.as_tensor):
            raise AssertionError("a tensor is copied from the host")
        return function(*arguments, **(settings or {}))


class Unlogged(Pretraining):
    def log(self, *arguments, **settings):
        pass


def system(positions="sinusoidal", normalization="token", **settings):
    terms = {"cycle": LatentCycle(), "norm": LatentNorm(), "variance": LatentVariance()}
    terms = {name: Term(loss, 1.0) for name, loss in terms.items()}
    torch.manual_seed(0)
    model = Sane(**SIZES, positions=positions, max_positions=[50, 50, 50], layer_kind=True)
    loss = SaneLoss(MaskedReconstruction(normalization), NTXent(), terms=terms)
    optimizer = functools.partial(torch.optim.AdamW, lr=1e-3)
    return Unlogged(model, loss, optimizer, constant, 1, ("a", "b"), erase=0.1, **settings)


def batch(mixed, views=2):
    generator = torch.Generator().manual_seed(0)
    segment = torch.zeros(4, 5, dtype=torch.int64)
    if mixed:
        segment[:, 3:] = -1
    mask = (segment >= 0)[..., None].expand(4, 5, 6)
    values = torch.randn(4, views, 5, 6, generator=generator) * mask[:, None]
    number = torch.arange(4)
    positions = torch.ones(4, 5, 7, dtype=torch.int64)
    return Batch(values, mask, positions, segment, number % 2, number, number % 2, mixed)


def step(system, batch):
    loss = system.training_step(batch, 0)
    loss.backward()
    return loss


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "relative"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_a_step_reads_nothing_from_its_device(normalization, positions, mixed):
    with FakeTensorMode():
        here = system(positions, normalization)
        inputs = batch(mixed)
        with FromTheHost():
            loss = step(here, inputs)
    assert loss.shape == ()
    assert all(p.grad is not None for p in here.parameters())


def test_a_step_that_would_wait_is_found_out():
    with FakeTensorMode():
        with pytest.raises(DataDependentOutputException):
            bool(torch.ones(()) > 0)
        with FromTheHost(), pytest.raises(AssertionError):
            torch.tensor(1)


@pytest.mark.parametrize("mixed", [False, True])
def test_computing_blocks_again_changes_no_gradient(mixed):
    found = []
    for checkpointing in (False, True):
        here = system(checkpointing=checkpointing)
        assert here.model.encoder.checkpointing == checkpointing
        step(here, batch(mixed))
        found.append([p.grad for p in here.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
