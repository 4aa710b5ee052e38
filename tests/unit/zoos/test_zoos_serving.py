"""Trials on a server are chosen by name, and listed once."""

import json
import re

import pytest

from mzsane.zoos import DownloadTrials
from mzsane.zoos.downloading.serving import numbers


def trial(seed, name="NN_tune_trainable_{0}_seed={0}_2021-05-01", epochs=(0, 1, 21), pad=6):
    """Files of a trial as Ray leaves them, by path."""
    folder = name.format(seed)
    files = {
        f"{folder}/params.json": json.dumps({"seed": seed}).encode(),
        f"{folder}/result.json": b"{}",
        f"{folder}/events.out.tfevents.1": b"log",
        f"{folder}/params.pkl": b"pickle",
    }
    for epoch in epochs:
        checkpoint = f"{folder}/checkpoint_{epoch:0{pad}d}"
        files[f"{checkpoint}/checkpoints"] = f"weights {seed} {epoch}".encode()
        files[f"{checkpoint}/optimizer"] = b"state"
    return files


def below(folder, *trials):
    return {f"{folder}/{name}": body for files in trials for name, body in files.items()}


@pytest.fixture
def zoo(server, tmp_path):
    """Makes a download of the trials of a server."""
    server.files = below("zoos/mnist/tune_zoo_uniform", *(trial(seed) for seed in (1, 2, 10)))
    server.files |= below("zoos/mnist/tune_zoo_hyperparameter", trial(5))

    def download(**choice):
        address = {"base_url": "https://zoos.example/zoos/mnist", "mirror": server.url}
        quick = {"retries": 1, "pause": 0.001, "timeout": 5.0}
        return DownloadTrials(tmp_path / "zoo", **address | quick | choice)

    return download


def brought(folder):
    """Paths of all files of trials that are there."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files if path.parent != folder)


def checkpoints(folder):
    """Seed and epoch of every checkpoint that is there."""
    found = (re.search(r"seed=(\d+).*_0*(\d+)/checkpoints", name) for name in brought(folder))
    return sorted((int(match[1]), int(match[2])) for match in found if match)


def test_descriptions_results_and_weights_come_and_nothing_else(zoo, tmp_path):
    zoo(include=["*uniform*"], seeds=[2], epochs=[21]).fetch()
    folder = "tune_zoo_uniform/NN_tune_trainable_2_seed=2_2021-05-01"
    assert brought(tmp_path / "zoo") == [
        f"{folder}/checkpoint_000021/checkpoints", f"{folder}/params.json", f"{folder}/result.json"
    ]  # fmt: skip
    weights = tmp_path / "zoo" / folder / "checkpoint_000021" / "checkpoints"
    assert weights.read_bytes() == b"weights 2 21"


def test_seeds_and_epochs_are_taken_by_name_not_by_place(zoo, tmp_path):
    zoo(include=["*uniform*"], seeds="1-9", epochs=[1, 21]).fetch()
    assert checkpoints(tmp_path / "zoo") == [(1, 1), (1, 21), (2, 1), (2, 21)]


def test_null_takes_all(zoo, tmp_path):
    zoo().fetch()
    assert len(checkpoints(tmp_path / "zoo")) == 12


@pytest.mark.parametrize("pad", [1, 6])
def test_both_spellings_of_a_checkpoint_are_known(zoo, server, tmp_path, pad):
    server.files = below("zoos/mnist/one", trial(1, pad=pad))
    zoo(epochs=[21]).fetch()
    assert checkpoints(tmp_path / "zoo") == [(1, 21)]


def test_of_two_spellings_of_one_epoch_the_first_comes(zoo, server, tmp_path):
    server.files = below("zoos/mnist/one", trial(1, pad=1), trial(1, pad=6))
    zoo(epochs=[21]).fetch()
    assert [name for name in brought(tmp_path / "zoo") if "checkpoint" in name] == [
        "one/NN_tune_trainable_1_seed=1_2021-05-01/checkpoint_000021/checkpoints"
    ]


def test_seeds_that_names_do_not_tell_are_read(zoo, server, tmp_path):
    server.files = below("zoos/mnist/one", *(trial(seed, "cut_{0}") for seed in (1, 2)))
    zoo(seeds=[2], epochs=[21]).fetch()
    assert {name.split("/")[1] for name in brought(tmp_path / "zoo")} == {"cut_2"}


def test_trials_are_found_at_any_depth(zoo, server, tmp_path):
    server.files = below("zoos/mnist/finetuned/sl_vit_seed_42", trial(7, "sl_ft_SD_{0}"))
    zoo(epochs=[1]).fetch()
    assert "finetuned/sl_vit_seed_42/sl_ft_SD_7/checkpoint_000001/checkpoints" in brought(
        tmp_path / "zoo"
    )


def test_trials_without_the_epochs_stay_away(zoo, server, tmp_path):
    server.files |= below("zoos/mnist/tune_zoo_uniform", trial(3, epochs=[0]))
    zoo(include=["*uniform*"], epochs=[21]).fetch()
    assert not any("seed=3" in name for name in brought(tmp_path / "zoo"))


def test_folders_that_names_refuse_are_not_listed(zoo, server):
    zoo(include=["*uniform*"], seeds=[2]).fetch()
    listed = [path for path, _ in server.seen if path.endswith("/")]
    assert len(listed) == 3  # the zoos, one zoo, one trial


def test_a_complete_download_asks_nothing(zoo, server, tmp_path):
    zoo().fetch()
    server.seen.clear()
    zoo().fetch()
    zoo(mirror="http://127.0.0.1:9").fetch()
    assert server.seen == []


def test_another_choice_is_listed_anew_and_keeps_what_is_there(zoo, server, tmp_path):
    zoo(seeds=[1], epochs=[1]).fetch()
    server.seen.clear()
    zoo(seeds=[1], epochs=[1, 21]).fetch()
    assert checkpoints(tmp_path / "zoo") == [(1, 1), (1, 21)]
    fetched = [path for path, _ in server.seen if not path.endswith("/")]
    assert len(fetched) == 1


def test_an_interrupted_download_goes_on_without_listing(zoo, server, tmp_path):
    def interrupt(stage, done, total):
        if stage.startswith("files") and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zoo().fetch(interrupt)
    before = len(brought(tmp_path / "zoo"))
    server.seen.clear()
    zoo().fetch()
    assert len(server.seen) == len(brought(tmp_path / "zoo")) - before
    assert len(checkpoints(tmp_path / "zoo")) == 12


def test_nothing_that_fits_is_told_with_what_there_is(zoo):
    with pytest.raises(ValueError, match="no checkpoint fits") as failure:
        zoo(include=["*unifrm*"]).fetch()
    assert "there is: tune_zoo_hyperparameter, tune_zoo_uniform" in str(failure.value)
    with pytest.raises(ValueError, match="'epochs': \\[99\\]"):
        zoo(epochs=[99]).fetch()


@pytest.mark.parametrize("name", ["..", "../x", "a\\b", ".", ""])
def test_a_listing_cannot_lead_outside(zoo, server, tmp_path, name):
    server.listing = lambda folder: json.dumps([{"name": name, "type": "directory"}]).encode()
    with pytest.raises(ValueError, match="could lead outside the download"):
        zoo().fetch()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("page", "sentence"),
    [(b"<html>", "autoindex_format json"), (b"[1]", "lists no names"), (b"7", "lists no names")],
)
def test_a_page_that_is_no_listing_is_named(zoo, server, page, sentence):
    server.listing = lambda folder: page
    with pytest.raises(ValueError, match=sentence) as failure:
        zoo().fetch()
    assert str(failure.value).startswith(f"{server.url}/zoos/mnist/")


def test_numbers_are_read_from_ranges():
    assert numbers("1-3,7, 9-9") == {1, 2, 3, 7, 9}
    assert numbers([4, 2]) == {2, 4}
    assert numbers(7) == {7}
    assert numbers(None) is None


@pytest.mark.parametrize("text", ["", "a", "1-", "1-2-3", "1;2"])
def test_what_is_no_range_is_named(text):
    with pytest.raises(ValueError, match="give numbers and ranges"):
        DownloadTrials("zoo", "http://127.0.0.1/", seeds=text)
