"""Slurm's warning that the time of a job is up, and another turn for it."""

import os
import signal
import subprocess
import warnings

from pytorch_lightning.plugins.environments import SLURMEnvironment

WARNING = signal.SIGUSR1
"""As `sbatch --signal=USR1@120` sends it, and as Lightning expects it."""


def warning_signals() -> tuple[signal.Signals, ...]:
    """The signal that means it, in a job of Slurm; none elsewhere."""
    return (WARNING,) if SLURMEnvironment.detect() else ()


def requeue() -> None:
    """Ask Slurm to run this job again; say so where it refuses."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    job = os.environ["SLURM_JOB_ID"]
    if array is not None:
        job = f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    try:
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True, text=True)
        refusal = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        refusal = str(error)
    if refusal:
        warnings.warn(
            f"Slurm did not requeue job {job} ({refusal}); the same command goes on from here",
            stacklevel=1,
        )
