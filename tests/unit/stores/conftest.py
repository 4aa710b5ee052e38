"""Small zoos of untrained networks."""

import pytest

from mzsane.architectures import Architecture
from mzsane.zoos import ModelRecord, held

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
MLP = Architecture("mzsane.architectures.MLP", {"width": [6, 5]}, (1, 4, 4), 3)
RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 4}, (3, 16, 16), 10)
NETWORKS = {"cnn": CNN, "mlp": MLP, "resnet": RESNET}


@pytest.fixture
def architectures():
    return NETWORKS


@pytest.fixture
def zoo():
    """`zoo("mlp", models=3, epochs=(1, 2))` yields records, a network a seed, epochs scaled."""

    def records(kind="mlp", models=4, epochs=(1,), first=0):
        architecture = NETWORKS[kind]
        for seed in range(first, first + models):
            state = architecture.build(seed=seed).state_dict()
            for epoch in epochs:
                scaled = {
                    name: value * (1 + 0.1 * epoch) if value.is_floating_point() else value + epoch
                    for name, value in state.items()
                }
                properties = {"test_acc": seed / 10, "epoch/share": epoch / 2, "config": f"c{seed}"}
                yield ModelRecord(
                    f"model_{seed:03d}", epoch, held(scaled), properties, architecture
                )

    return records
