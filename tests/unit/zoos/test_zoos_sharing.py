"""A zoo's folder can be shared: builds wait for each other, and a finished zoo is only read."""

import shutil
import threading

import pytest
import torch
from filelock import FileLock

from mzsane.architectures import Architecture
from mzsane.images import ImageSet, Split
from mzsane.populations import Recipe
from mzsane.progress import bars
from mzsane.zoos import Builder, read_trials

CNN = Architecture("mzsane.architectures.CNN", {"width": [2, 2, 2]}, (1, 28, 28), 10)


def noise():
    """Images without meaning."""
    generator = torch.Generator().manual_seed(0)
    splits = [Split(torch.randn(20, 1, 28, 28, generator=generator), torch.arange(20) % 10)] * 3
    return ImageSet("noise", *splits, classes=10)


def builder(folder, images=noise):
    return Builder(folder, images, CNN, 3, Recipe(batch_size=10, epochs=1), [1], workers=1)


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoos") / "noise"
    builder(folder).build()
    return folder


def weights(folder):
    return {r.model: torch.cat([t.flatten() for t in r.load().values()]).tolist()
            for r in read_trials(folder)}  # fmt: skip


def test_a_second_build_waits_says_so_and_finds_its_work_done(zoo, tmp_path):
    waiting, told = threading.Event(), []

    def progress(stage, done, total):
        told.append(stage)
        waiting.set()

    second = threading.Thread(target=lambda: builder(tmp_path).build(progress))
    with FileLock(tmp_path / ".lock"):
        second.start()
        assert waiting.wait(timeout=60)
        assert {path.name for path in tmp_path.iterdir()} == {".lock"}
        shutil.copytree(zoo, tmp_path, dirs_exist_ok=True)
    second.join()
    assert told == [f"waiting for another build of {tmp_path.name}"]
    assert weights(tmp_path) == weights(zoo)


def test_a_finished_zoo_is_neither_written_nor_trained_again(zoo, tmp_path):
    folder = shutil.copytree(zoo, tmp_path / "noise")
    (folder / ".lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}
    Builder(folder, noise, CNN, 2, Recipe(batch_size=10, epochs=1), [1], workers=1).build()
    builder(folder).build()
    assert {path: path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]} == before


def test_a_model_finished_by_a_process_of_a_killed_build_is_kept(zoo, tmp_path):
    """Processes may outlive the build that started them, and finish what it had begun."""

    def noise_and_a_survivor():
        shutil.copytree(zoo / "trial_00001", tmp_path / "trial_00001")
        return noise()

    noise_and_a_survivor.__name__ = "noise"
    builder(tmp_path, noise_and_a_survivor).build()
    assert weights(tmp_path) == weights(zoo)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in zoo.iterdir()}


def test_models_do_not_depend_on_the_number_of_threads_which_stays(zoo, tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        builder(tmp_path).build()
        assert torch.get_num_threads() == 2, "training left its one thread behind"
    finally:
        torch.set_num_threads(threads)
    assert weights(tmp_path) == weights(zoo)


def test_progress_can_be_told_without_a_terminal(tmp_path, capfd):
    with bars() as progress:
        builder(tmp_path / "somewhere").build(progress)
    out, err = capfd.readouterr()
    assert out == ""
    assert "training somewhere" in err
    assert "3/3" in err
    assert "\x1b" not in err


def test_an_exception_while_telling_progress_ends_the_processes(tmp_path):
    """As Ctrl-C does that comes while the bar is drawn."""

    def interrupt(stage, done, total):
        if done:
            raise KeyboardInterrupt

    two = Builder(tmp_path, noise, CNN, 6, Recipe(batch_size=10, epochs=1), [1], workers=2)
    with pytest.raises(KeyboardInterrupt):
        two.build(interrupt)
    trials = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert {path.name for path in tmp_path.iterdir()} - {t.name for t in trials} == {
        ".lock",
        "zoo.json",
    }
    assert all(not trial.name.startswith(".") for trial in trials)
