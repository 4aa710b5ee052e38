"""A sweep by the real command ends with its jobs compared."""

import csv
import functools
import os

import pytest

SMALL = ["debug=fast", "sampler=kde_joint", "trainer.max_epochs=1", "data.samples_per_epoch=16"]


@pytest.fixture
def command(data, warm, tmp_path):
    """Runs a command of the package in an empty folder."""
    environment = {**os.environ, "MZSANE_DATA": str(data), "OMP_NUM_THREADS": "1"}
    return functools.partial(warm.run, cwd=tmp_path, env=environment)


def test_a_sweep_is_reported_and_can_be_reported_again(command, tmp_path):
    def run(*arguments):
        done = command(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    loss = "loss.reconstruction.normalization"
    told = run("mzsane.train", "-m", *SMALL, f"{loss}=token,none")
    assert "2 jobs compared, 0 left out" in told

    (sweep,) = (tmp_path / "sweeps" / "fast").iterdir()
    with (sweep / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    measured = {(row[loss], row["quantity"], row["method"]) for row in rows}
    for setting in ("token", "none"):
        assert (setting, "val/r2", "") in measured
        assert (setting, "accuracy", "heldout_reconstructed") in measured
        assert (setting, "accuracy", "kde_joint") in measured
    assert "2 of 2 jobs have finished" in (sweep / "summary.md").read_text()

    (sweep / "1" / "summary.md").unlink()
    told = run("mzsane.report", str(sweep), "--against", "token")
    assert "1 jobs compared, 1 left out" in told
    assert f"job 1: {loss}=none: interrupted or failed" in (sweep / "summary.md").read_text()


def test_a_job_that_fails_stops_no_other(command, tmp_path):
    few = ["evaluation.num_samples=1", "callbacks=[checkpoints]"]
    done = command("mzsane.train", "-m", *SMALL, *few, "data.window=0,48")
    assert done.returncode == 1
    mistake = "data.window=0: a window holds at least one token"
    (sweep,) = (tmp_path / "sweeps" / "fast").iterdir()
    told = [line for line in done.stderr.splitlines() if line.startswith("mzsane: ")]
    note = (sweep / "0" / "failed.txt").relative_to(tmp_path)
    assert told == [
        f"mzsane: job 0: {mistake}",
        f"mzsane: job 0 of the sweep failed, the others went on; {note} says why",
    ]
    assert "Traceback" not in done.stderr
    assert "1 jobs compared, 1 left out" in done.stdout
    assert (sweep / "1" / "summary.md").exists()
    assert f"job 0: data.window=0: failed: {mistake}" in (sweep / "summary.md").read_text()
