"""What a user can get wrong with checkpoints ends in one sentence, and good members survive."""

import os
import pickle
import resource
import subprocess
import sys

import h5py
import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.stores import TokenStore

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)


class Code:
    """A pickle that runs a command when it is loaded unprotected."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


@pytest.fixture
def zoo(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for seed in range(3):
        torch.save(CNN.build(seed).state_dict(), folder / f"good{seed}.pt")
    return folder


def command(tmp_path, folder, *overrides, **settings):
    """Arguments of `subprocess` for preprocessing a folder."""
    environment = {**os.environ, "MZSANE_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
    arguments = ["zoo=folder", f"zoo.path={folder}", f"hydra.run.dir={tmp_path}/run", *overrides]
    return {
        "args": [sys.executable, "-m", "mzsane.preprocess", *arguments],
        "env": environment, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
        **settings,
    }  # fmt: skip


def refused(tmp_path, folder, *overrides, **settings):
    """The sentence with which a run ends."""
    ended = subprocess.run(**command(tmp_path, folder, *overrides, **settings), check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return next(line for line in ended.stderr.splitlines() if line.startswith("mzsane: "))


def store_of(tmp_path):
    (path,) = (tmp_path / "data" / "stores").glob("*.h5")
    return path


def test_good_members_survive_bad_neighbours(tmp_path, zoo):
    (zoo / "code.pt").write_bytes(pickle.dumps(Code(tmp_path / "executed")))
    torch.save({"weights": Code(tmp_path / "executed")}, zoo / "saved_code.pt")
    (zoo / "cut.pt").write_bytes((zoo / "good0.pt").read_bytes()[:5000])
    bad = CNN.build(9).state_dict()
    bad["module_list.0.bias"][0] = torch.nan
    torch.save(bad, zoo / "nan.pt")
    torch.save({"other.weight": torch.randn(3, 4)}, zoo / "shapes.pt")
    ended = subprocess.run(**command(tmp_path, zoo), check=False)
    assert ended.returncode == 0, ended.stderr
    assert "4 checkpoints of 4 models" in ended.stdout
    assert "of 2 kinds" in ended.stdout
    assert "4 skipped" in ended.stdout
    store = TokenStore.open(store_of(tmp_path))
    reasons = {path.rpartition("/")[2]: reason for path, reason in store.report.skipped}
    assert set(reasons) == {"code.pt", "saved_code.pt", "cut.pt", "nan.pt"}
    assert "NaN" in reasons["nan.pt"]
    assert not (tmp_path / "executed").exists()


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refused(tmp_path, tmp_path / "empty")


def test_epochs_that_none_has_are_named_with_those_there_are(tmp_path, zoo):
    sentence = refused(tmp_path, zoo, "zoo.epochs=[77]")
    assert "77" in sentence
    assert "0" in sentence


def test_a_full_disk_is_said(tmp_path, zoo):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))

    sentence = refused(tmp_path, zoo, preexec_fn=limited)
    assert "cannot be written" in sentence
    assert "File too large" in sentence
    assert list((tmp_path / "data" / "stores").glob("*.h5")) == []


def test_two_runs_make_one_store(tmp_path, zoo):
    runs = [
        subprocess.Popen(**command(tmp_path, zoo, f"hydra.run.dir={tmp_path}/run{number}"))
        for number in range(2)
    ]
    told = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert told[0][0] == told[1][0]
    TokenStore.open(store_of(tmp_path)).verify()


def test_a_store_of_another_format_is_refused(tmp_path, zoo):
    subprocess.run(**command(tmp_path, zoo), check=True)
    with h5py.File(store_of(tmp_path), "r+") as file:
        file.attrs["format_version"] = 99
    sentence = refused(tmp_path, zoo)
    assert "format 99" in sentence
    assert "make it again" in sentence
