"""Stores of untrained networks."""

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.stores import TokenStore, write_store
from mzsane.symmetry import trace
from mzsane.tokens import Layout
from mzsane.zoos import ModelRecord, held

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
MLP = Architecture("mzsane.architectures.MLP", {"width": [6, 5]}, (1, 4, 4), 3)
RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 4}, (3, 16, 16), 10)


@pytest.fixture(scope="session")
def networks():
    """State dict and symmetry of each kind of network."""
    traced = {}
    for kind, architecture in {"cnn": CNN, "mlp": MLP, "resnet": RESNET}.items():
        network = architecture.build(seed=0)
        symmetry = trace(network, torch.zeros(2, *architecture.input_shape))
        traced[kind] = network.state_dict(), symmetry
    return traced


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """Two sources of one token size: `cnn` with 24 models of 21 tokens or more, `mlp` with 12."""
    folder = tmp_path_factory.mktemp("stores")
    return {
        "cnn": _store(folder / "cnn.h5", CNN, 24, (1, 2)),
        "mlp": _store(folder / "mlp.h5", MLP, 12, (1,)),
    }


def _store(path, architecture, models, epochs, size=201, scheme="channel", dtype="float32"):
    def records():
        for seed in range(models):
            state = architecture.build(seed=seed).state_dict()
            for epoch in epochs:
                scaled = {name: value * (1 + epoch) for name, value in state.items()}
                yield ModelRecord(f"model_{seed:03d}", epoch, held(scaled), {}, architecture)

    write_store(path, records(), name=path.stem, size=size, scheme=scheme, dtype=dtype, align=False)
    return TokenStore.open(path)


@pytest.fixture(scope="session")
def make_store():
    return _store


@pytest.fixture(scope="session")
def cnn():
    return CNN


@pytest.fixture(scope="session")
def mlp():
    return MLP


@pytest.fixture(scope="session")
def layout_of():
    return Layout.of
