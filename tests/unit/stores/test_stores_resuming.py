"""A store that was interrupted goes on where it was, and comes out the same."""

import signal
import subprocess
import sys

import h5py
import pytest

from mzsane.stores import write_store
from mzsane.stores.journal import NAME
from mzsane.zoos import read_trials


def contents(path):
    """Everything in the file but when it was made."""
    found = {}

    def visit(name, node):
        found[name, "attributes"] = {key: str(value) for key, value in node.attrs.items()}
        if isinstance(node, h5py.Dataset) and name != "provenance":
            found[name] = (node.dtype, node.shape, node[()].tobytes())

    with h5py.File(path) as file:
        file.visititems(visit)
        found["root"] = {key: str(value) for key, value in file.attrs.items()}
    return found


def stopping(stage, done):
    """A progress that is interrupted when a stage has come so far."""

    def progress(name, now, total):
        if name == stage and now >= done:
            raise KeyboardInterrupt

    return progress


@pytest.fixture
def whole(tmp_path, stamped):
    records, loaded = stamped
    write_store(tmp_path / "whole.h5", records("mlp", 8, (1, 2)), name="a")
    loaded.clear()
    return contents(tmp_path / "whole.h5")


@pytest.mark.parametrize(
    ("stage", "done", "again"),
    [("reading a", 4, 12), ("reading a", 16, 0), ("aligning a", 4, 0), ("aligning a", 16, 0),
     ("storing a", 16, 0)],
)  # fmt: skip
def test_an_interrupted_store_is_the_uninterrupted_one(
    tmp_path, stamped, whole, stage, done, again
):
    records, loaded = stamped
    with pytest.raises(KeyboardInterrupt):
        write_store(
            tmp_path / "a.h5", records("mlp", 8, (1, 2)), name="a", progress=stopping(stage, done)
        )
    assert not (tmp_path / "a.h5").exists()
    loaded.clear()
    write_store(tmp_path / "a.h5", records("mlp", 8, (1, 2)), name="a")
    assert len(loaded) == again
    assert contents(tmp_path / "a.h5") == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "whole.h5"]


@pytest.mark.parametrize("stage", ["reading a", "aligning a"])
def test_half_written_rows_and_lines_are_read_again(tmp_path, stamped, whole, stage):
    records, loaded = stamped
    with pytest.raises(KeyboardInterrupt):
        write_store(
            tmp_path / "a.h5", records("mlp", 8, (1, 2)), name="a", progress=stopping(stage, 8)
        )
    folder = tmp_path / ".a.h5.partial"
    rows = (folder / "1.rows").read_bytes()
    (folder / "1.rows").write_bytes(rows[:100] + b"????" + rows[104:])
    with (folder / NAME).open("a") as file:
        file.write('{"read": ["model_0')
    loaded.clear()
    write_store(tmp_path / "a.h5", records("mlp", 8, (1, 2)), name="a")
    assert ("model_002", 1) in loaded
    assert contents(tmp_path / "a.h5") == whole


@pytest.mark.parametrize(
    "change", [{"dtype": "float16"}, {"align": False}, {"batchnorm": "ignore"}]
)
def test_other_settings_discard_what_is_left(tmp_path, stamped, change):
    records, loaded = stamped
    stop = stopping("aligning a", 1)
    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "a.h5", records("mlp", 4), name="a", progress=stop)
    loaded.clear()
    write_store(tmp_path / "a.h5", records("mlp", 4), name="a", **change)
    write_store(tmp_path / "b.h5", records("mlp", 4), name="a", **change)
    assert len(loaded) == 8
    assert contents(tmp_path / "a.h5") == contents(tmp_path / "b.h5")


def test_a_zoo_that_changed_in_between_is_stored_as_it_is_now(tmp_path, stamped):
    records, loaded = stamped
    with pytest.raises(KeyboardInterrupt):
        write_store(
            tmp_path / "a.h5", records("mlp", 6, first=2), name="a",
            progress=stopping("aligning a", 3),
        )  # fmt: skip
    now = [*records("mlp", 2), *records("mlp", 3, first=2), *records("mlp", 1, first=5, stamp="2")]
    loaded.clear()
    write_store(tmp_path / "a.h5", now, name="a")
    assert {"model_000", "model_001", "model_005"} <= {model for model, _ in loaded}
    write_store(tmp_path / "b.h5", now, name="a")
    assert contents(tmp_path / "a.h5") == contents(tmp_path / "b.h5")


KILLED = """
import os, signal, sys
from mzsane.stores import write_store
from mzsane.zoos import read_trials

def stop(stage, done, total):
    if stage == "aligning a" and done >= 3:
        os.kill(os.getpid(), signal.SIGKILL)

write_store(sys.argv[2], read_trials(sys.argv[1]), name="a", progress=stop)
"""


def test_a_killed_process_leaves_what_the_next_one_needs(tmp_path, trials):
    ends = subprocess.run([sys.executable, "-c", KILLED, trials, tmp_path / "a.h5"], check=False)
    assert ends.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.glob("*.h5")] == []
    told = []
    write_store(
        tmp_path / "a.h5", read_trials(trials), name="a",
        progress=lambda stage, done, total: told.append(stage),
    )  # fmt: skip
    assert "reading a" not in told
    write_store(tmp_path / "b.h5", read_trials(trials), name="a")
    assert contents(tmp_path / "a.h5") == contents(tmp_path / "b.h5")


FULL = """
import resource, sys
from mzsane.stores import write_store
from mzsane.zoos import read_trials

resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    write_store(sys.argv[2], read_trials(sys.argv[1]), name="a", align=False)
except OSError as error:
    sys.exit(str(error))
"""


@pytest.mark.parametrize("limit", [1500, 4000])  # while reading, while filing
def test_a_full_disk_is_said_and_costs_nothing(tmp_path, trials, limit):
    path = tmp_path / "a.h5"
    write_store(path, read_trials(trials), name="a")
    before = path.read_bytes()
    ends = subprocess.run(
        [sys.executable, "-c", FULL, trials, path, str(limit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ends.returncode == 1
    assert len(ends.stderr.splitlines()) == 1, ends.stderr
    assert "a.h5: cannot be written" in ends.stderr
    assert "an older store is as it was" in ends.stderr
    assert path.read_bytes() == before
    write_store(path, read_trials(trials), name="a", align=False)
    write_store(tmp_path / "b.h5", read_trials(trials), name="a", align=False)
    assert contents(path) == contents(tmp_path / "b.h5")
