"""What a run found, from its files: figures, `summary.md`, and the table on the terminal.

python -m mzsane.report runs/train/TIME                    # draw a finished run's report again
python -m mzsane.report sweeps/train/TIME                  # compare the jobs of a sweep
python -m mzsane.report sweeps/train/TIME --against token  # and each setting with one of them
"""

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from mzsane.files import replacing
from mzsane.results import Found, describe
from mzsane.runs import CONFIG, DONE

FACTS = "facts.json"


def report(folder: Path, facts: Mapping[str, object]) -> None:
    """Write `metrics.csv`, the figures and, last of all, `summary.md`; print the summary table.

    What is said of the run's origin stays as it was if the report is drawn again.

    Args:
        folder: of a run; what it has neither logged (by Lightning's CSVLogger) nor evaluated
            (`results.csv`) is left out.
        facts: of the run, by name, beside those of machine, date and versions.
    """
    from rich.console import Console

    from mzsane.evaluation import read_rows
    from mzsane.reports import (
        latest,
        loss_curves,
        merge_metrics,
        read_metrics,
        terminal_summary,
        write_summary,
    )

    metrics, found = [], Found([], [])
    if any((folder / "logs" / "csv").glob("version_*/metrics.csv")):
        merge_metrics(folder / "logs" / "csv", folder / "metrics.csv")
        metrics = read_metrics(folder / "metrics.csv")
        loss_curves(metrics, folder / "loss.png")
    if (folder / "results.csv").exists():
        found = describe(folder, latest(read_rows(folder / "results.csv")))
        Console().print(terminal_summary(found.statistics))
    origin = _remembered(folder, facts)
    write_summary(folder / DONE, found.statistics, metrics, origin, found.sheets)


def report_sweep(folder: Path, against: Sequence[str] = ()) -> None:
    """Compare the jobs of a sweep: `sweep.csv`, `sweep.png` and `summary.md` in its folder.

    Args:
        folder: of the sweep; jobs that have not finished are named in the summary.
        against: a setting, its values as in the tables; each other's difference from it is shown.
            Empty shows none.

    Raises:
        ValueError: no job has finished, or none has the setting `against`.
    """
    from mzsane.reports import write_measurements, write_sweep
    from mzsane.runs import swept
    from mzsane.sweeps import read_sweep

    sweep = read_sweep(folder)
    facts = {"swept": shlex.join(swept(folder)), "jobs": len(sweep.jobs) + len(sweep.left_out)}
    write_sweep(folder, sweep.jobs, sweep.left_out, origin() | facts, tuple(against))
    write_measurements(folder / "sweep.csv", sweep.jobs)
    print(f"{len(sweep.jobs)} jobs compared, {len(sweep.left_out)} left out: {folder / DONE}")


def again(folder: Path, against: Sequence[str] = ()) -> None:
    """The report of a folder that a command has left: of a run, or of a sweep.

    Raises:
        FileNotFoundError: it holds neither.
        ValueError: the run is unfinished, or the sweep cannot be compared.
    """
    from mzsane.sweeps import is_sweep

    if is_sweep(folder):
        report_sweep(folder, against)
    elif against:
        raise ValueError(f"{folder}: --against compares the jobs of a sweep, and this is none")
    elif (folder / DONE).exists():
        report(folder, {})
    elif (folder / CONFIG).exists():
        raise ValueError(f"{folder}: this run is unfinished; its own command goes on with it")
    else:
        raise FileNotFoundError(f"{folder}: no run and no sweep; give a folder of runs/ or sweeps/")


def _remembered(folder: Path, facts: Mapping[str, object]) -> dict[str, object]:
    """Where a run's numbers come from: told when its report is first made, and kept."""
    path = folder / FACTS
    if facts or not path.exists():
        with replacing(path) as partial:
            partial.write_text(json.dumps(origin() | dict(facts), default=str))
    return json.loads(path.read_text())


def origin() -> dict[str, object]:
    """Where and when numbers were made."""
    return {
        "command": _command(),
        "date": f"{datetime.now():%Y-%m-%d %H:%M}",
        "machine": f"{platform.machine()}, {_cores()} cores, Python {platform.python_version()}",
        "versions": ", ".join(
            f"{name} {version(name)}" for name in ("mzsane", "torch", "pytorch-lightning")
        ),
    }


def _command() -> str:
    """As a shell takes it; the console script has no module of its name."""
    program = Path(sys.argv[0])
    module = ("python", "-m", f"mzsane.{program.stem}")
    return shlex.join([*(module if program.suffix == ".py" else [program.name]), *sys.argv[1:]])


def _cores() -> int:
    from joblib import cpu_count

    return cpu_count()


def main() -> None:
    """Entry point of `python -m mzsane.report`."""
    parser = argparse.ArgumentParser(
        prog="mzsane.report", description="Tables and figures of a run or of a sweep, from files."
    )
    parser.add_argument("folder", type=Path, help="below runs/ or sweeps/")
    told = "a sweep's setting that others are compared with: a value of each key that varies"
    parser.add_argument("--against", nargs="+", default=(), metavar="VALUE", help=told)
    arguments = parser.parse_args()
    try:
        again(arguments.folder, arguments.against)
    except (ValueError, OSError) as error:
        sys.exit(f"mzsane: {error}")


if __name__ == "__main__":
    main()
