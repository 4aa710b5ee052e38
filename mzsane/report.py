"""What a run found, from its files: figures, `summary.md`, and the table on the terminal."""

import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from mzsane.runs import DONE


def report(folder: Path, facts: Mapping[str, object]) -> None:
    """Write `metrics.csv`, the figures and, last of all, `summary.md`; print the summary table.

    Args:
        folder: of a run that has `results.csv` or the logs of Lightning's CSVLogger, or both, as
            its callbacks and loggers left them.
        facts: of the run, by name, beside those of machine, date and versions.
    """
    from rich.console import Console

    from mzsane.evaluation import read_rows, summarise
    from mzsane.reports import (
        accuracy_novelty,
        latest,
        loss_curves,
        merge_metrics,
        read_metrics,
        terminal_summary,
        write_summary,
    )

    metrics = []
    if (folder / "logs" / "csv").exists():
        merge_metrics(folder / "logs" / "csv", folder / "metrics.csv")
        metrics = read_metrics(folder / "metrics.csv")
        loss_curves(metrics, folder / "loss.png")
    statistics = []
    if (folder / "results.csv").exists() or not metrics:
        rows = latest(read_rows(folder / "results.csv"))
        classes = {row["images"]: row["classes"] for row in rows}
        accuracy_novelty(rows, folder / "accuracy_novelty.png", classes)
        statistics = summarise(rows, by=("source", "architecture", "method", "images"))
        Console().print(terminal_summary(statistics))
    write_summary(folder / DONE, statistics, metrics, origin() | dict(facts))


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
