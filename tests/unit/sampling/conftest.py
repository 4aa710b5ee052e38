"""Tiny stores of untrained networks."""

from dataclasses import replace

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.models import Sane
from mzsane.stores import TokenStore, write_store
from mzsane.zoos import ModelRecord, held

CNN = Architecture("mzsane.architectures.CNN", {"width": [4, 4, 4]}, (1, 20, 20), 3)
RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 1}, (1, 8, 8), 3)


def records(architecture, models, epochs=(1, 2), known=True):
    """Untrained networks; the epochs of one differ by little."""
    for number in range(models):
        initial = architecture.build(number).state_dict()
        for epoch in epochs:
            generator = torch.Generator().manual_seed(100 * number + epoch)
            state = {
                name: tensor + 0.01 * torch.randn(tensor.shape, generator=generator).abs()
                if tensor.is_floating_point()
                else tensor + number
                for name, tensor in initial.items()
            }
            yield ModelRecord(
                f"model{number}", epoch, held(state), {}, architecture if known else None
            )


@pytest.fixture
def small_sane():
    """Makes an untrained autoencoder for tokens of a size."""

    def make(d_token):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Sane(d_token, 16, 2, 1, 5, window=16, positions="sinusoidal")

    return make


@pytest.fixture(scope="session")
def cnn_shelf(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "cnn.h5"
    write_store(path, records(CNN, 12), name="tiny", size=20)
    return TokenStore.open(path).architectures[0]


@pytest.fixture(scope="session")
def resnet_shelf(tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "resnet.h5"
    # tracing its symmetry would take most of a minute, and nothing here needs it
    write_store(path, records(RESNET, 5, known=False), name="residual", size=18)
    return replace(TokenStore.open(path).architectures[0], architecture=RESNET)
