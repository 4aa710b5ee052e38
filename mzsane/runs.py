"""Run folders: which one a command belongs to, and who may write it."""

import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override
from yaml import YAMLError

from mzsane.files import replacing

CONFIG = "config.yaml"
DONE = "summary.md"
_made: list[Path] = []  # a process has one run, and Hydra gives its callbacks to nobody


class RunFolder(Callback):
    """Hydra callback: the same command continues its unfinished run, another never overwrites it.

    It acts before Hydra writes `.hydra/`. A folder is unfinished while it lacks `summary.md`; it is
    the same command if the composed configuration is equal, key by key. The processes of a job of
    Slurm have one folder, named by job and step, with which the requeued job goes on.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Choose the folder of this run, or refuse it with one sentence."""
        wanted = plain(config)
        given = any(o.startswith("hydra.run.dir=") for o in config.hydra.overrides.hydra)
        if not given and (job := shared_job()):
            _set_folder(config, Path(config.hydra.run.dir).parent / job)
            given = True
        if given:
            folder = Path(config.hydra.run.dir)
            if difference := first_difference(recorded(folder), wanted):
                # SystemExit, because Hydra turns a callback's exceptions into warnings
                raise SystemExit(
                    f"mzsane: {folder} holds a run of another configuration ({difference}); "
                    "give another hydra.run.dir or repeat the old command"
                )
        elif config.get("resume") and (
            folder := unfinished(Path(config.hydra.run.dir).parent, wanted)
        ):
            print(f"continuing {folder} (resume=false starts anew)")
            _set_folder(config, folder)
        folder = Path(config.hydra.run.dir).absolute()
        _made[:] = [path for path in (folder, *folder.parents) if not path.exists()]


class SweepReport(Callback):
    """Hydra callback: once all jobs of a sweep have finished, compare them."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Write the sweep's tables and figure next to its jobs, and say where."""
        from mzsane.report import report_sweep  # which needs this module

        if leads():
            try:
                report_sweep(Path(config.hydra.sweep.dir))
            except ValueError as error:  # Hydra would make a warning of it
                print(f"mzsane: {error}", file=sys.stderr)


def plain(config: DictConfig) -> dict[str, Any]:
    """The configuration without Hydra's own part, as plain values.

    Words at the top, such as `data_dir`, are resolved, for the environment may decide them; what
    lies deeper refers to them, or to the run's folder, which is not known yet.
    """
    written = OmegaConf.to_container(config)
    return {
        str(k): config[k] if isinstance(v, str) else v for k, v in written.items() if k != "hydra"
    }


def recorded(folder: Path) -> dict[str, Any] | None:
    """The configuration that a run folder was made for; None if it holds no run."""
    path = folder / CONFIG
    if not path.exists():
        return None
    try:
        return OmegaConf.to_container(OmegaConf.load(path))
    except YAMLError:
        return {path.name: "unreadable"}  # which no configuration equals


def unfinished(parent: Path, wanted: dict[str, Any]) -> Path | None:
    """The newest folder below `parent` that holds an unfinished, idle run of this configuration."""
    for folder in sorted(parent.glob("*"), reverse=True):
        if recorded(folder) == wanted and not (folder / DONE).exists() and not busy(folder):
            return folder
    return None


def busy(folder: Path) -> bool:
    """Whether a living process writes this folder."""
    try:
        with _lock(folder):
            return False
    except Timeout:
        return True


@contextmanager
def claim(folder: Path) -> Iterator[None]:
    """Hold a run folder for a `with` block; the lock vanishes with its process.

    Raises:
        ValueError: if another process writes it.
    """
    try:
        with _lock(folder):
            yield
    except Timeout as error:
        raise ValueError(
            f"{folder}: another process is writing this run; wait for it, or give another "
            "hydra.run.dir"
        ) from error


def leads() -> bool:
    """Whether this is the first process of a run; launchers number them in the environment."""
    numbers = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in numbers)


def made() -> tuple[Path, ...]:
    """The folders that were not there when this run began, its own first, then those above it."""
    return tuple(_made)


def several() -> bool:
    """Whether a launcher started several processes of this run, one by one."""
    return _is_several("SLURM_NTASKS") or _is_several("WORLD_SIZE")


def shared_job() -> str | None:
    """Name of the folder of processes that were started one by one; None if this one is alone.

    Each would take the time of its own start for a name.

    Raises:
        SystemExit: if their launcher gives them no name in common.
    """
    if _is_several("SLURM_NTASKS") and "SLURM_PROCID" in os.environ:
        return f"slurm-{os.environ['SLURM_JOB_ID']}.{os.environ.get('SLURM_STEP_ID', 'batch')}"
    if _is_several("WORLD_SIZE") and "RANK" in os.environ:
        raise SystemExit(
            "mzsane: torchrun starts processes that know no common folder; give hydra.run.dir"
        )
    return None


def _is_several(count: str) -> bool:
    """Whether a launcher's count of processes, a variable of the environment, is above one."""
    return int(os.environ.get(count, "1")) > 1


def _set_folder(config: DictConfig, folder: Path) -> None:
    with flag_override(config, ["struct", "readonly"], [False, False]):
        config.hydra.run.dir = str(folder)


def _lock(folder: Path) -> FileLock:
    return FileLock(folder / ".lock", timeout=0)


def record(folder: Path, config: DictConfig) -> None:
    """Write what the folder is for; whole or not at all."""
    with replacing(folder / CONFIG) as partial:
        partial.write_text(OmegaConf.to_yaml(OmegaConf.create(plain(config))))


def first_difference(old: Any, new: Any, path: str = "") -> str | None:
    """The first key in which two configurations differ, with both values."""
    if old is None and not path:
        return None
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            inner = f"{path}.{key}" if path else key
            if found := first_difference(old.get(key), new.get(key), inner):
                return found
        return None
    return None if old == new else f"{path}: {old} there, {new} here"


def overrides(folder: Path) -> dict[str, str]:
    """What the command line, or a sweep, set for a run, by key; the last of a key counts."""
    path = folder / ".hydra" / "overrides.yaml"
    given = (str(one).partition("=") for one in OmegaConf.load(path)) if path.exists() else ()
    return {key.lstrip("+"): value for key, _, value in given}


def swept(sweep: Path) -> list[str]:
    """What a sweep was told to set in its jobs; nothing if Hydra left no word of it."""
    path = sweep / "multirun.yaml"
    if not path.exists():
        return []
    hydra = OmegaConf.load(path).hydra
    params = hydra.sweeper.get("params") or {}
    return [*(f"{key}={value}" for key, value in params.items()), *hydra.overrides.task]


def jobs_asked(sweep: Path) -> int:
    """How many jobs a sweep over every combination was asked for; 0 if that cannot be told."""
    parsed = OverridesParser.create().parse_overrides(swept(sweep))
    choices = [one for one in parsed if one.is_sweep_override()]
    if not choices or any(one.is_interval_sweep() for one in choices):  # or another draws
        return 0
    return math.prod(len(list(one.sweep_iterator())) for one in choices)
