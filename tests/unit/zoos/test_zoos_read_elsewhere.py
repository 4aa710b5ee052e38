"""Zoos that are built here can be read by programs that were written for the published ones.

Nothing of the package reads in this file: it does, step by step, what published readers do.
"""

import json
from collections import OrderedDict

import pytest
import torch
from torch import nn

from mzsane.architectures import Architecture
from mzsane.images import ImageSet, Split
from mzsane.populations import Recipe
from mzsane.zoos import Builder

HYPER_PARAMETERS = {
    "model::type": "CNN",
    "model::channels_in": 1,
    "model::o_dim": 10,
    "model::nlin": "gelu",
    "model::dropout": 0.0,
    "model::init_type": "kaiming_normal",
    "optim::optimizer": "sgd",
    "optim::lr": 0.01,
    "optim::wd": 0.001,
    "optim::momentum": 0.5,
    "training::batchsize": 8,
    "training::epochs_train": 2,
}
MEASURES = {
    f"{split}_{measure}" for split in ("train", "val", "test") for measure in ("loss", "acc")
}


def noise():
    """Images without meaning."""
    generator = torch.Generator().manual_seed(0)
    splits = [
        Split(torch.randn(n, 1, 28, 28, generator=generator), torch.arange(n) % 10)
        for n in (16, 10, 12)
    ]
    return ImageSet("noise", *splits, classes=10)


@pytest.fixture(scope="module", params=["process", "vmap"])
def zoo(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoos") / request.param
    arguments = {"nonlinearity": "gelu", "initialisation": "kaiming_normal"}
    cnn = Architecture("mzsane.architectures.CNN", arguments, (1, 28, 28), 10)
    recipe = Recipe("sgd", 0.01, 0.001, momentum=0.5, batch_size=8, epochs=2)
    Builder(folder, noise, cnn, 2, recipe, [0, 2], workers=1, engine=request.param).build()
    return folder


def trials(zoo):
    """As published readers list models: the folders that describe one and hold checkpoints."""
    return [
        path
        for path in sorted(zoo.iterdir())
        if path.is_dir() and (path / "params.json").exists() and list(path.glob("checkpoint_*"))
    ]


def load(trial, epoch):
    """As published readers find a checkpoint: by the plain number, then by six digits."""
    folder = trial / f"checkpoint_{epoch}"
    if not folder.exists():
        folder = trial / f"checkpoint_{epoch:06d}"
    return torch.load(folder / "checkpoints", map_location="cpu", weights_only=True)


def results_of(trial):
    return [json.loads(line) for line in (trial / "result.json").read_text().splitlines()]


def published_cnn():
    """The published small CNN for grey images, written out."""
    network = nn.Module()
    network.module_list = nn.Sequential(
        *(nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.GELU()),
        *(nn.Conv2d(8, 6, 5), nn.MaxPool2d(2), nn.GELU()),
        *(nn.Conv2d(6, 4, 2), nn.GELU(), nn.Flatten()),
        *(nn.Linear(36, 20), nn.GELU(), nn.Linear(20, 10)),
    )
    return network.module_list.eval(), network


def test_hyper_parameters_have_published_names(zoo):
    assert len(trials(zoo)) == 2
    seeds = set()
    for trial in trials(zoo):
        params = json.loads((trial / "params.json").read_text())
        assert params.items() >= HYPER_PARAMETERS.items()
        assert not any(isinstance(value, dict) for value in params.values())
        seeds.add(params["seed"])
    assert len(seeds) == 2


def test_results_are_one_line_an_epoch_from_the_untrained_network_on(zoo):
    """So both rules of published readers hold: by `training_iteration`, and by line from 0."""
    for trial in trials(zoo):
        results = results_of(trial)
        assert [result["training_iteration"] for result in results] == [0, 1, 2]
        for result in results:
            assert result.keys() >= MEASURES
            assert all(0 <= result[f"{split}_acc"] <= 1 for split in ("train", "val", "test"))


def test_checkpoints_are_plain_and_usable_without_trust(zoo):
    images = noise().test
    for trial in trials(zoo):
        for epoch in (0, 2):
            state = load(trial, epoch)
            assert type(state) is OrderedDict
            layers, network = published_cnn()
            network.load_state_dict(state)
            accuracy = (layers(images.images).argmax(1) == images.labels).float().mean().item()
            assert results_of(trial)[epoch]["test_acc"] == pytest.approx(accuracy)


def test_checkpoints_are_the_size_of_their_weights(zoo):
    """A tensor saved as a part of a larger one would bring all of it along."""
    for file in zoo.glob("trial_*/checkpoint_*/checkpoints"):
        assert file.stat().st_size < 2 * 4 * 2464 + 4096
        assert all(tensor.is_contiguous() for tensor in torch.load(file).values())
