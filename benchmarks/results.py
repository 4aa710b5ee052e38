"""What a benchmark returns, and how it is kept and shown."""

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmarks.timing import Spread

FOLDER = Path(__file__).parent / "results"
RISING = ("/s", "% of peak")
"""Ends of units of which more is better: rates, and the use that is made of a device."""
COLUMNS = ("work", "mzsane", "plain", "ratio", "target", "unit")


class Settings(NamedTuple):
    """What a benchmark is told.

    Attributes:
        seed: of all random inputs.
        repeats: of each measurement; slow references are repeated less.
        device: where training steps run.
        candidates: of a selection, each of which takes seconds.
    """

    seed: int = 0
    repeats: int = 7
    device: str = "cpu"
    candidates: int = 12

    @property
    def few(self) -> int:
        """Repeats of what takes seconds."""
        return min(self.repeats, 3)


class Measurement(NamedTuple):
    """One operation, ours and as one would write it first.

    Attributes:
        name: of the work.
        unit: of all numbers; in those of `RISING` more is better, otherwise less.
        mzsane: what it costs here.
        plain: what the reference costs; None where there is none.
        target: what we aim at on two cores; None without an aim.
        note: what the reference is, or what to know of the numbers.
    """

    name: str
    unit: str
    mzsane: Spread
    plain: Spread | None = None
    target: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better than the reference."""
        if self.plain is None:
            return None
        ratio = self.plain.median / self.mzsane.median
        return 1 / ratio if self.unit.endswith(RISING) else ratio

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        plain = None if self.plain is None else self.plain._asdict()
        own = {"mzsane": self.mzsane._asdict(), "plain": plain}
        return self._asdict() | own | {"ratio": self.ratio}


def write(
    name: str, measurements: Iterable[Measurement], settings: Settings, folder: Path = FOLDER
) -> Path:
    """Keep the measurements of one benchmark as ``<folder>/<name>.json``."""
    document = {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "settings": settings._asdict(),
        "machine": machine(settings.device),
        "measurements": [measurement.to_dict() for measurement in measurements],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def table(measurements: Sequence[Measurement]) -> str:
    """Medians in columns."""
    rows = [COLUMNS, *(_cells(measurement) for measurement in measurements)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in (0, 5) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def machine(device: str = "cpu") -> dict[str, Any]:
    """What the numbers depend on; load is that of the last minute, in processes."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "gpu": torch.cuda.get_device_name() if device.startswith("cuda") else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def commit() -> str | None:
    """What was measured, ``-dirty`` where other files than results differ; None if no checkout."""
    status = (
        "status",
        "--porcelain",
        "--untracked-files=no",
        "--",
        ":/",
        ":(top,exclude)benchmarks/results",
    )
    try:
        told = _git("describe", "--always", "--abbrev=12", "--exclude=*")
        return told + ("-dirty" if _git(*status) else "")
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ("git", *arguments), cwd=FOLDER.parent, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _cells(measurement: Measurement) -> tuple[str, ...]:
    bound = "≥ " if measurement.unit.endswith(RISING) else "≤ "
    return (
        measurement.name,
        _number(measurement.mzsane.median),
        "" if measurement.plain is None else _number(measurement.plain.median),
        "" if measurement.ratio is None else f"{_number(measurement.ratio)} x",
        "" if measurement.target is None else bound + _number(measurement.target),
        measurement.unit,
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cpu() -> str:
    """The processor's name; Python knows no more than its kind."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
