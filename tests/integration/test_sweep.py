"""A sweep by the real command ends with its jobs compared."""

import csv
import os
import subprocess
import sys

SMALL = ["debug=fast", "sampler=kde_joint", "trainer.max_epochs=1", "data.samples_per_epoch=16"]


def test_a_sweep_is_reported_and_can_be_reported_again(tmp_path):
    def run(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=tmp_path,
            env={**os.environ, "MZSANE_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
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
