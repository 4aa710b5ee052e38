"""Small zoos of untrained networks whose properties are known, and an untrained autoencoder."""

import pytest
import torch

from mzsane.analysis import chosen
from mzsane.architectures import Architecture
from mzsane.models import Sane
from mzsane.stores import TokenStore, write_store
from mzsane.zoos import ModelRecord, held

CNN = Architecture("mzsane.architectures.CNN", {"width": [4, 4, 4]}, (1, 20, 20), 3)
DEEP = Architecture("mzsane.architectures.MLP", {"width": [6, 6, 6, 6]}, (1, 4, 4), 3)
MLP = Architecture("mzsane.architectures.MLP", {"width": [6]}, (1, 4, 4), 3)


def records(architecture, models, epochs=(1, 2, 3), shift=0.0, **told):
    """Untrained networks that drift a little from epoch to epoch."""
    for number in range(models):
        state = architecture.build(number).state_dict()
        state = {name: tensor + shift for name, tensor in state.items()}
        generator = torch.Generator().manual_seed(number)
        for epoch in epochs:
            state = {
                name: tensor + 0.02 * torch.randn(tensor.shape, generator=generator)
                for name, tensor in state.items()
            }
            properties = {"test_acc": number / models, "optim::name": "ab"[number % 2]} | told
            yield ModelRecord(f"model{number:03d}", epoch, held(state), properties, architecture)


def stored(folder, name, architecture, models, **options):
    path = folder / f"{name}.h5"
    write_store(path, records(architecture, models, **options), name=name, size=20)
    return TokenStore.open(path)


@pytest.fixture(scope="session")
def stores(tmp_path_factory):
    """Two sources of unlike networks."""
    folder = tmp_path_factory.mktemp("stores")
    return {"cnns": stored(folder, "cnns", CNN, 20), "mlps": stored(folder, "mlps", MLP, 12)}


@pytest.fixture(scope="session")
def mixture(tmp_path_factory):
    """Two kinds of networks with equally many tensors, one of them trained on two image sets."""
    folder = tmp_path_factory.mktemp("mixture")
    options = {
        "cnns": {"architecture": CNN, "dataset::name": "digits"},
        "mlps": {"architecture": DEEP, "dataset::name": "digits"},
        "shifted": {"architecture": DEEP, "dataset::name": "shapes", "shift": 1.0},
    }
    return chosen(
        {
            name: stored(folder, name, models=40, epochs=(1,), **known)
            for name, known in options.items()
        }
    )


@pytest.fixture(scope="session")
def parts(stores):
    return chosen(stores)


@pytest.fixture(scope="session")
def small_sane():
    """Makes an untrained autoencoder for tokens of a size."""

    def make(d_token=20, window=16):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return Sane(d_token, 16, 2, 1, 5, window=window, positions="sinusoidal").eval()

    return make
