"""Parts of a repository come by pattern, and need the hub no more once they are there."""

import json
import sys

import pytest

from mzsane.zoos import DownloadRepository

FILES = {
    "model_zoos/cnn3/a/params.json": b"{}",
    "model_zoos/cnn3/a/checkpoint_000001/checkpoints": b"weights",
    "model_zoos/cnn3/a/checkpoint_000001/optimizer": b"state",
    "images/dataset.pt": b"images",
}


@pytest.fixture
def zoo(hub):
    """A repository with a trial and images."""
    return hub("owner/zoo", FILES)


@pytest.fixture
def download(zoo, tmp_path):
    def make(repository="owner/zoo", include=("model_zoos/cnn3/*",), mirror=zoo.url):
        return DownloadRepository(tmp_path / "zoo", repository, include, mirror=mirror)

    return make


def brought(folder):
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if not path.parts[0].startswith("."))


def test_files_that_fit_come_without_what_training_left(download, tmp_path):
    download().fetch()
    assert brought(tmp_path / "zoo") == ["listing.json", *sorted(FILES)[1:4:2]]
    listing = json.loads((tmp_path / "zoo" / "listing.json").read_text())
    assert listing["commit"] == "c" * 40


def test_pickles_of_what_is_there_as_safetensors_stay_away(hub, tmp_path):
    mirror = hub("owner/both", {"model.safetensors": b"weights", "pytorch_model.bin": b"pickle"})
    DownloadRepository(tmp_path / "zoo", "owner/both", mirror=mirror.url).fetch()
    assert brought(tmp_path / "zoo") == ["listing.json", "model.safetensors"]


def test_a_complete_folder_needs_no_hub(download, zoo):
    download().fetch()
    zoo.seen.clear()
    download().fetch()
    download(mirror="http://127.0.0.1:9").fetch()
    assert zoo.seen == []


def test_another_choice_is_brought(download, tmp_path):
    download().fetch()
    download(include=["images/*"]).fetch()
    assert "images/dataset.pt" in brought(tmp_path / "zoo")


def test_without_connection_an_incomplete_folder_is_no_success(download, tmp_path):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "params.json").write_text("{}")
    with pytest.raises(ConnectionError, match="owner/zoo: cannot be had from the Hugging Face hub"):
        download(mirror="http://127.0.0.1:9").fetch()
    assert not (tmp_path / "zoo" / "listing.json").exists()


def test_a_repository_that_is_not_there_is_named(download):
    with pytest.raises(ConnectionError, match="owner/zo: cannot be had"):
        download("owner/zo").fetch()


def test_patterns_that_fit_nothing_are_told(download):
    with pytest.raises(ValueError, match="none of 4 files fits"):
        download(include=["model_zoo/*"]).fetch()


def test_a_missing_library_is_told(download, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'mzsane\[hub\]'"):
        download().fetch()
