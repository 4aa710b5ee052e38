"""One's own checkpoints, of networks that nobody knows, through the real commands."""

import os
import subprocess
import sys
from collections import OrderedDict

import pytest
import torch
from torch import nn

from mzsane.stores import TokenStore

HIDDEN = '{hidden: ["fc1.weight:0","fc1.bias:0","fc2.weight:1"]}'
MANY = 1500
# the real entry point, where processes pay from the start; once they have read something, Ctrl-C
# reaches all of them, as in a terminal
INTERRUPTED = """
import os, signal
from mzsane.stores import crew, writing
crew.STARTING = 0
def gather(*arguments):
    for count, read in enumerate(own(*arguments)):
        yield read
        if count == 3:  # the first was read by this process
            os.killpg(0, signal.SIGINT)
own, writing.gather = writing.gather, gather
from mzsane.preprocess import main
main()
"""


def network(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            OrderedDict(fc1=nn.Linear(16, 12), act=nn.Tanh(), fc2=nn.Linear(12, 3))
        )


@pytest.fixture
def zoo(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for seed in range(12):
        torch.save(network(seed).state_dict(), folder / f"model{seed}.pt")
    return folder


def started(tmp_path, command, *overrides, **options):
    environment = {**os.environ, "MZSANE_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *command, "zoo=folder", *overrides],
        env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def done(run):
    told, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    return told


def store_of(tmp_path):
    (path,) = (tmp_path / "data" / "stores").glob("*.h5")
    return TokenStore.open(path)


def test_groups_by_hand_align_networks_that_nobody_knows(tmp_path, zoo):
    settings = [f"zoo.path={zoo}", f"hydra.run.dir={tmp_path}/run", f"zoo.symmetry={HIDDEN}"]
    told = done(started(tmp_path, ["-m", "mzsane.preprocess"], *settings))
    assert "1 groups given by hand, not proven" in told
    store = store_of(tmp_path)
    assert store.report.similarity_after > store.report.similarity_before + 0.1
    (shelf,) = store.architectures
    aligned, images = network(0), torch.rand(4, 16)
    for row, model in enumerate(shelf.models):
        aligned.load_state_dict(shelf.state(row))
        expected = network(int(model.removeprefix("model")))(images)
        assert torch.allclose(aligned(images), expected, atol=1e-5)


def test_networks_that_nobody_knows_are_trained_on_and_that_is_said(tmp_path, zoo):
    settings = [
        f"zoo.path={zoo}", f"hydra.run.dir={tmp_path}/run", "debug=fast", "trainer.max_epochs=1",
    ]  # fmt: skip
    told = done(started(tmp_path, ["-m", "mzsane.train"], *settings))
    assert "12 checkpoints of 12 models stored" in told
    assert "without symmetry: the zoo does not say how to build these models" in told
    assert "val/r2/folder" in (tmp_path / "run" / "summary.md").read_text()


def test_ctrl_c_while_processes_read_ends_with_130_and_the_same_command_goes_on(tmp_path):
    zoo, settings = tmp_path / "many", [f"hydra.run.dir={tmp_path}/run"]
    zoo.mkdir()
    torch.save({"fc.weight": torch.randn(3, 4)}, tmp_path / "one.pt")
    for number in range(MANY):
        (zoo / f"{number:04d}.pt").write_bytes((tmp_path / "one.pt").read_bytes())
    run = started(
        tmp_path, ["-c", INTERRUPTED], f"zoo.path={zoo}", "workers=2", *settings,
        start_new_session=True,
    )  # fmt: skip
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 130, errors
    sentences = [line for line in errors.splitlines() if line.startswith("mzsane: ")]
    assert sentences == ["mzsane: interrupted; the same command goes on from here"]
    assert "Traceback" not in errors
    spoil(zoo / "0000.pt")
    again = started(
        tmp_path, ["-m", "mzsane.preprocess"], f"zoo.path={zoo}", "workers=1", *settings
    )
    assert f"{MANY} checkpoints of {MANY} models stored" in done(again)
    store_of(tmp_path).verify()


def spoil(file):
    """Other content of the same size and time: whoever reads it again fails."""
    facts = file.stat()
    file.write_bytes(bytes(facts.st_size))
    os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))
