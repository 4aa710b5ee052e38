"""What a user can get wrong with checkpoints ends in one sentence, and good members survive.

The real command shows each way of ending; the other mistakes are made in this process.
"""

import os
import pickle
import resource
import subprocess
import sys

import h5py
import pytest
import torch
from hydra import compose, initialize_config_dir

from mzsane.architectures import Architecture
from mzsane.config import CONF_DIR
from mzsane.entry import sentence
from mzsane.preprocess import preprocess
from mzsane.schemas import register_schemas
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


def settings(folder, *overrides):
    return ["zoo=folder", f"zoo.path={folder}", *overrides]


def command(tmp_path, folder, *overrides, **options):
    """Arguments of `subprocess` for preprocessing a folder."""
    environment = {**os.environ, "MZSANE_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
    overrides = settings(folder, f"hydra.run.dir={tmp_path}/run", *overrides)
    return {
        "args": [sys.executable, "-m", "mzsane.preprocess", *overrides],
        "env": environment, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
        **options,
    }  # fmt: skip


def refused(tmp_path, folder, *overrides, **options):
    """The sentence with which a run ends."""
    ended = subprocess.run(**command(tmp_path, folder, *overrides, **options), check=False)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return next(line for line in ended.stderr.splitlines() if line.startswith("mzsane: "))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Preprocesses in this process: the same configuration and task, without Hydra's start."""
    monkeypatch.setenv("MZSANE_DATA", str(tmp_path / "data"))
    register_schemas()

    def run(folder, *overrides):
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            preprocess(compose("preprocess", settings(folder, *overrides)))

    return run


def store_of(tmp_path):
    (path,) = (tmp_path / "data" / "stores").glob("*.h5")
    return path


def test_good_members_survive_bad_neighbours_and_two_runs_at_once(tmp_path, zoo):
    (zoo / "code.pt").write_bytes(pickle.dumps(Code(tmp_path / "executed")))
    torch.save({"weights": Code(tmp_path / "executed")}, zoo / "saved_code.pt")
    (zoo / "cut.pt").write_bytes((zoo / "good0.pt").read_bytes()[:5000])
    bad = CNN.build(9).state_dict()
    bad["module_list.0.bias"][0] = torch.nan
    torch.save(bad, zoo / "nan.pt")
    torch.save({"other.weight": torch.randn(3, 4)}, zoo / "shapes.pt")
    runs = [
        subprocess.Popen(**command(tmp_path, zoo, f"hydra.run.dir={tmp_path}/run{number}"))
        for number in range(2)
    ]
    told = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], told
    assert told[0][0] == told[1][0]
    for words in ("4 checkpoints of 4 models", "of 2 kinds", "assumed nonlinearity=", "4 skipped"):
        assert words in told[0][0]
    store = TokenStore.open(store_of(tmp_path))
    store.verify()
    reasons = {path.rpartition("/")[2]: reason for path, reason in store.report.skipped}
    assert set(reasons) == {"code.pt", "saved_code.pt", "cut.pt", "nan.pt"}
    assert "NaN" in reasons["nan.pt"]
    assert not (tmp_path / "executed").exists()


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in refused(tmp_path, tmp_path / "empty")


def test_a_full_disk_is_said(tmp_path, zoo):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.RLIM_INFINITY))

    told = refused(tmp_path, zoo, preexec_fn=limited)
    assert "cannot be written" in told
    assert "File too large" in told
    assert list((tmp_path / "data" / "stores").glob("*.h5")) == []


def test_epochs_that_none_has_are_named_with_those_there_are(here, zoo):
    with pytest.raises(ValueError, match=r"77.*0"):
        here(zoo, "zoo.epochs=[77]")


def test_a_store_of_another_format_is_refused(tmp_path, here, zoo):
    here(zoo)
    with h5py.File(store_of(tmp_path), "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(ValueError, match=r"format 99.*remove it, and make it again"):
        here(zoo)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ('{hidden: ["fc1.weight:0"]}', "the models have no tensor 'fc1.weight'"),
        ('{hidden: ["module_list.0.weight:0"]}', "changes the outputs"),
        ("{hidden: fc1.weight}", "zoo.sources.folder: symmetry group hidden: it has no list of"),
    ],
)
def test_wrong_groups_by_hand_are_refused(tmp_path, here, zoo, groups, said):
    with pytest.raises(Exception) as caught:  # noqa: PT011 (Hydra wraps what constructors raise)
        here(zoo, f"zoo.symmetry={groups}")
    assert said in sentence(caught.value, "preprocess")
    assert list(tmp_path.glob("data/stores/*.h5")) == []
