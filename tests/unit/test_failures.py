"""A mistake leaves no folder behind that its run has made, and in a sweep stops no other job."""

import logging
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from mzsane.entry import run
from mzsane.failures import NOTE


@pytest.fixture
def ended(monkeypatch, tmp_path):
    """What a command ends with that does `task`."""

    def command(task, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mzsane", *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # restored, whatever the command sets
        with pytest.raises(SystemExit) as stop:
            run(task, "download")
        return stop.value.code

    return command


def folder():
    return Path(HydraConfig.get().runtime.output_dir)


def mistaken(cfg):
    (folder() / "config.yaml").write_text("seed: 0")
    (folder() / ".lock").touch()
    raise ValueError("a mistake")


def with_a_result(cfg):
    (folder() / "results.csv").write_text("accuracy")
    raise ValueError("a mistake")


def with_a_word(cfg):
    logging.getLogger("here").warning("something to know")
    raise ValueError("a mistake")


def interrupted(cfg):
    raise KeyboardInterrupt


def broken(cfg):
    raise TypeError("not foreseen")


def test_a_refused_run_leaves_none_of_the_folders_that_it_made(ended, tmp_path):
    (tmp_path / "old").mkdir()
    assert ended(mistaken, "hydra.run.dir=old/new/newer") == "mzsane: a mistake"
    assert [*tmp_path.rglob("*")] == [tmp_path / "old"]


def test_a_folder_in_which_something_else_lies_stays(ended, tmp_path):
    def beside(cfg):
        (tmp_path / "new" / "mine").touch()
        mistaken(cfg)

    ended(beside, "hydra.run.dir=new/newer")
    assert [*tmp_path.rglob("*")] == [tmp_path / "new", tmp_path / "new" / "mine"]


@pytest.mark.parametrize(
    ("task", "left"),
    [(with_a_result, "results.csv"), (with_a_word, "run.log"), (interrupted, ".hydra")],
)
def test_a_run_that_came_to_something_stays(ended, tmp_path, task, left):
    ended(task, "hydra.run.dir=new")
    assert (tmp_path / "new" / left).exists()


def test_a_folder_that_was_there_stays(ended, tmp_path):
    (tmp_path / "old").mkdir()
    ended(mistaken, "hydra.run.dir=old")
    assert (tmp_path / "old" / ".hydra").exists()


def test_jobs_go_on_after_one_that_failed(ended, tmp_path, capsys):
    seeds = []

    def task(cfg):
        seeds.append(cfg.seed)
        (mistaken, broken, bool)[cfg.seed](cfg)

    code = ended(task, "-m", "seed=0,1,2", "hydra.sweep.dir=sweep")
    assert seeds == [0, 1, 2]
    assert code == (
        "mzsane: jobs 0, 1 of the sweep failed, the others went on; sweep/0/failed.txt says why"
    )
    notes = [(path.parent.name, path.read_text()) for path in tmp_path.glob(f"sweep/*/{NOTE}")]
    assert sorted(notes) == [("0", "a mistake\n"), ("1", "TypeError: not foreseen\n")]
    told = capsys.readouterr().err
    assert "mzsane: job 0: a mistake\n" in told
    assert told.count("Traceback") == 1  # of what was not foreseen
    assert told.index("Traceback") < told.index("mzsane: job 1: TypeError: not foreseen\n")


def test_an_interruption_ends_the_sweep(ended, tmp_path):
    assert ended(interrupted, "-m", "seed=0,1", "hydra.sweep.dir=sweep") == 130
    assert not (tmp_path / "sweep" / "1").exists()


def test_a_job_that_is_tried_again_forgets_why_it_failed(ended, tmp_path, monkeypatch):
    sweep = ("-m", "seed=0,1", "hydra.sweep.dir=sweep")
    ended(mistaken, *sweep)
    assert len([*tmp_path.glob(f"sweep/*/{NOTE}")]) == 2
    run(lambda cfg: None, "download")
    assert not [*tmp_path.glob(f"sweep/*/{NOTE}")]
