"""Small zoos of untrained networks."""

from dataclasses import replace

import pytest

from mzsane.architectures import Architecture
from mzsane.zoos import ModelRecord, held
from mzsane.zoos.reading.trials import write_checkpoint, write_params

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


@pytest.fixture
def stamped(zoo):
    """Records as if from files, and a list of those that were loaded."""

    def records(*arguments, stamp="1", **settings):
        for record in zoo(*arguments, **settings):
            yield replace(record, load=Load(record, loaded), stamp=stamp)

    loaded = []
    return records, loaded


class Load:
    """Remembers in this process that it was called."""

    def __init__(self, record, loaded):
        self.record, self.loaded = record, loaded

    def __call__(self):
        self.loaded.append((self.record.model, self.record.epoch))
        return self.record.load()


@pytest.fixture
def trials(tmp_path, zoo):
    """A folder of trials on disk."""
    folder = tmp_path / "trials"
    for record in zoo("mlp", 6, (1, 2)):
        trial = folder / record.model
        if not trial.exists():
            trial.mkdir(parents=True)
            write_params(trial, {}, record.architecture)
        write_checkpoint(trial, record.epoch, record.load())
    return folder
