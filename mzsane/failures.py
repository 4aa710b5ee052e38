"""What a run that failed leaves: nothing, or in a sweep a note that tells why."""

import contextlib
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig

from mzsane.runs import CONFIG, busy, leads, made, several

NOTE = "failed.txt"
_BEGINNING = (".hydra", ".lock", CONFIG, "run.log")  # what every run writes before a result


class FailedJobs(Callback):
    """Hydra callback: once all jobs of a sweep have had their turn, tell which failed.

    Listed before other callbacks, for Hydra calls the last one first, and this one ends the sweep.
    """

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Say it in one sentence.

        Raises:
            SystemExit: a job has failed; Hydra turns exceptions of callbacks into warnings.
        """
        failed = sorted(Path(config.hydra.sweep.dir).glob(f"*/{NOTE}"))
        if failed and leads():
            names = ", ".join(note.parent.name for note in failed)
            plural = "jobs" if len(failed) > 1 else "job"
            raise SystemExit(
                f"mzsane: {plural} {names} of the sweep failed, the others went on; "
                f"{failed[0]} says why"
            )


def in_sweep() -> bool:
    """Whether this run is a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def reason(folder: Path) -> str:
    """Why the last try of a job failed; empty if it did not."""
    note = folder / NOTE
    return note.read_text(encoding="utf-8").strip() if note.exists() else ""


def forget() -> None:
    """Begin a job anew: why it failed before is no longer true."""
    if leads():
        (_folder() / NOTE).unlink(missing_ok=True)


def note(sentence: str, whole: bool) -> None:
    """Tell why this job failed, and write it down for the report of the sweep.

    Args:
        sentence: what is told.
        whole: show the traceback of the exception at hand, too.
    """
    if whole:
        traceback.print_exc()
    if leads():
        (_folder() / NOTE).write_text(f"{sentence}\n", encoding="utf-8")
    print(f"mzsane: job {_folder().name}: {sentence}", file=sys.stderr)


@contextlib.contextmanager
def leaving_nothing() -> Iterator[None]:
    """Remove the folder of a run that ends in an error, if it made it and has no result yet.

    A folder that was there before stays, and so does one with a log that says something, or with
    another process in it. Folders above go if the run made these, too, and nothing else came into
    them. An interrupted run is no error.
    """
    try:
        yield
    except Exception:
        if leads() and not several() and _folder() in made() and _is_bare(_folder()):
            _remove(_folder())
        raise


def _is_bare(folder: Path) -> bool:
    """Whether a folder holds nothing but what every run begins with, and nobody writes there."""
    log = folder / "run.log"
    said = log.exists() and log.stat().st_size
    return (
        not said and {path.name for path in folder.iterdir()} <= {*_BEGINNING} and not busy(folder)
    )


def _remove(folder: Path) -> None:
    """Remove what a run began with, then each folder that it made, as long as that is empty."""
    shutil.rmtree(folder / ".hydra", ignore_errors=True)
    for name in _BEGINNING[1:]:
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not empty: another run has come into it
        for path in made():
            path.rmdir()


def _folder() -> Path:
    return Path(HydraConfig.get().runtime.output_dir)
