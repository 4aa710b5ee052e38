"""Checkpoints of one's own, from a folder to a store and back."""

import csv

import pytest
import torch
import yaml
from hydra.utils import instantiate
from torch import nn

from mzsane.architectures import Architecture
from mzsane.stores import Source, prepare

TOKENS = {"size": 32, "scheme": "channel", "batchnorm": "rows"}


class Code:
    """Needs code to be unpickled."""


class Mine(nn.Module):
    """A network that nobody knows."""

    def __init__(self, classes=3):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 6), nn.Linear(6, classes)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for number in range(3):
        torch.save(Mine().state_dict(), folder / f"m{number}.pt")
    return folder


@pytest.fixture
def stored(folder, tmp_path):
    """The store of the folder, made or brought up to date."""

    def store(**settings):
        source = Source.of_folder(folder, tmp_path / "stores", **settings)
        return prepare({"mine": source}, TOKENS)["mine"]

    return store


def test_a_network_that_the_user_vouches_for_can_be_built_from_the_store(stored):
    architecture = Architecture(f"{__name__}.Mine", {}, (1, 4, 4), 3, trusted=True)
    for _ in ("made", "there"):
        (shelf,) = stored(architecture=architecture).architectures
        shelf.architecture.build().load_state_dict(shelf.state(0))


def test_a_store_cannot_vouch_for_itself(stored):
    foreign = Architecture(f"{__name__}.Mine", {}, (1, 4, 4), 3)
    (shelf,) = stored(architecture=foreign).architectures
    with pytest.raises(ValueError, match="trusted=true"):
        shelf.architecture.build()


def test_pickles_refused_for_their_code_are_read_once_they_are_trusted(folder, stored):
    torch.save({"state_dict": Mine().state_dict(), "more": Code()}, folder / "m9.pt")
    assert len(stored()) == 3
    with pytest.warns(UserWarning, match="trust_pickle"):
        assert len(stored(trust_pickle=True)) == 4


def test_a_table_that_comes_later_is_taken_up(folder, stored):
    def values(store):
        return store.architectures[0].properties["lr"].tolist()

    assert "lr" not in stored().architectures[0].properties
    for rates in ([0.5, 0.25, 0.125], [0.5, 0.25, 2.0]):
        with (folder / "properties.csv").open("w", newline="") as file:
            rows = [(f"m{number}", rate) for number, rate in enumerate(rates)]
            csv.writer(file).writerows([("model", "lr"), *rows])
        assert values(stored()) == rates


def test_a_named_table_that_fits_no_model_is_told(tmp_path, stored):
    stored()
    (tmp_path / "other.csv").write_text("model,lr\nnobody,1\n")
    (skipped,) = stored(properties=tmp_path / "other.csv").skipped
    assert "'nobody' fits no model" in skipped.reason


def test_a_folder_that_is_not_named_is_asked_for(tmp_path):
    with pytest.raises(ValueError, match=r"set zoo\.path=DIR"):
        Source.of_folder(None, tmp_path)


@pytest.mark.parametrize("wrong", ["mlp", {"target": "a.B"}, Mine()])
def test_what_says_not_how_to_build_a_network_is_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="says not how to build a network; give") as refusal:
        Source.of_folder(tmp_path, tmp_path, architecture=wrong)
    example = yaml.safe_load(str(refusal.value).partition("; give ")[2])
    Source.of_folder(tmp_path, tmp_path, architecture=instantiate(example, _convert_="all"))


def test_a_store_dir_that_cannot_be_made_is_named(folder, tmp_path):
    (tmp_path / "file").touch()
    source = Source.of_folder(folder, tmp_path / "file")
    with pytest.raises(OSError, match=r"file: no folder for stores .* give another store_dir"):
        prepare({"mine": source}, TOKENS)
