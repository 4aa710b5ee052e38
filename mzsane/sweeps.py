"""Sweep folders: their jobs, what these differ in, what they measured."""

from pathlib import Path
from typing import NamedTuple

from mzsane.evaluation import COLUMNS, final, frontiers, read_rows
from mzsane.failures import reason
from mzsane.reports import (
    Job,
    latest,
    of_frontiers,
    of_metrics,
    of_results,
    read_metrics,
)
from mzsane.reports.measurements import Measurement
from mzsane.runs import CONFIG, DONE, busy, jobs_asked, overrides

SEED = "seed"


class Sweep(NamedTuple):
    """The finished jobs of a sweep; the others by name, with their settings and the reason."""

    jobs: list[Job]
    left_out: dict[str, str]


def is_sweep(folder: Path) -> bool:
    """Whether jobs lie in it, and it is no run itself."""
    return not (folder / ".hydra").exists() and any(folder.glob("*/.hydra"))


def read_sweep(folder: Path) -> Sweep:
    """Every job of a sweep, with those overrides in which jobs differ, and with its seed."""
    folders = sorted((path.parent for path in folder.glob("*/.hydra")), key=_number)
    settings = _varied({path.name: overrides(path) for path in folders})
    sweep = Sweep([], {})
    for path in folders:
        name, chosen = path.name, settings[path.name]
        try:
            measured = [] if (why := _unfinished(path)) else _measured(path)
            why = why or ("" if measured else "finished, but measured nothing")
        except ValueError as error:  # a damaged table costs one job, not the sweep
            why = str(error)
        if why:
            sweep.left_out[name] = f"{_spelt(chosen)}: {why}"
        else:
            sweep.jobs.append(Job(name, chosen, measured))
    sweep.left_out.update(dict.fromkeys(_absent(folder, folders), "never started"))
    return sweep


def _varied(given: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Of each job's overrides the seed, and those that some other job does not have."""
    keys = dict.fromkeys(key for settings in given.values() for key in settings)
    varied = [key for key in keys if len({one.get(key) for one in given.values()}) > 1]
    chosen = [key for key in keys if key in (*varied, SEED)]
    return {job: {key: one.get(key, "") for key in chosen} for job, one in given.items()}


def _absent(sweep: Path, folders: list[Path]) -> list[str]:
    """Jobs that were asked for and have no folder: their numbers, or how many these are."""
    asked = jobs_asked(sweep)
    if asked <= len(folders):
        return []
    if not all(path.name.isdecimal() for path in folders):  # hydra.sweep.subdir names them
        return [f"{asked - len(folders)} others"]
    return sorted({str(n) for n in range(asked)} - {path.name for path in folders}, key=int)


def _unfinished(job: Path) -> str:
    """Why a job's numbers are not final; empty if they are."""
    if (job / DONE).exists():
        return ""
    if told := reason(job):
        return f"failed: {told}"
    if not (job / CONFIG).exists():
        return "refused before it began"
    return "still running" if busy(job) else "interrupted or failed"


def _measured(job: Path) -> list[Measurement]:
    """The last evaluation, and the last validation."""
    found: list[Measurement] = []
    if (job / "metrics.csv").exists():
        found += of_metrics(read_metrics(job / "metrics.csv"))
    if (job / "results.csv").exists():
        rows = latest(read_rows(job / "results.csv"))
        found += of_results(rows)
        if COLUMNS.keys() - {"family", "mended"} <= rows[0].keys():  # no table of a first version
            found += of_frontiers(frontiers(final(rows)))
    return found


def _spelt(settings: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in settings.items())


def _number(job: Path) -> tuple[int, str]:
    """Jobs in the order in which they were numbered; those with other names after them."""
    return (int(job.name), "") if job.name.isdecimal() else (2**31, job.name)
