"""What the entry points share: Hydra's start, and errors as one sentence."""

import contextlib
import functools
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mzsane.config import CONF_DIR, suggest
from mzsane.failures import forget, in_sweep, leaving_nothing, note
from mzsane.schemas import register_schemas

_EXPECTED = (HydraException, OmegaConfBaseException, ValueError, OSError)
_FULL = "HYDRA_FULL_ERROR"
_PLAIN_WARNING = warnings.formatwarning
_NO_MEMBER = re.compile(r"Could not load '(.+)/([^/']+)'")  # of a list of options
_NO_OPTION = re.compile(
    r"Could not find '([^']+)'\s+Available options in '([^']+)':(.*?)(?:Config search|$)", re.S
)
_INNER = re.compile(r"\s+(?:full_key: |Config search path)")  # what follows is Hydra's own


def run(task: Callable[[DictConfig], Any], config_name: str) -> None:
    """Run `task` on the configuration of the command line.

    What a user can mend ends with one sentence on standard error and exit code 1, an interruption
    with 130; `HYDRA_FULL_ERROR=1` shows the traceback instead. A job of a sweep that fails stops no
    other; the sweep ends with exit code 1.
    """
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(_help(sys.modules[task.__module__].__doc__ or ""))
        return
    register_schemas()
    warnings.formatwarning = _brief_warning
    full = os.environ.get(_FULL) == "1"
    os.environ[_FULL] = "1"  # Hydra then raises what it would otherwise print in many lines

    @functools.wraps(task)
    def brief(cfg: DictConfig) -> Any:
        if in_sweep():
            return _job(task, cfg, config_name, full)
        # inside, or Hydra adds lines of its own
        with _one_sentence(config_name, full), leaving_nothing():
            return task(cfg)

    try:
        with _one_sentence(config_name, full):
            hydra.main(version_base="1.3", config_path=str(CONF_DIR), config_name=config_name)(
                brief
            )()
    except KeyboardInterrupt:
        _leave()
    except SystemExit as stop:
        # Lightning turns an interruption of its loops into exit code 1
        if isinstance(stop.__context__, KeyboardInterrupt):
            _leave()
        raise


def _job(task: Callable[[DictConfig], Any], cfg: DictConfig, config_name: str, full: bool) -> Any:
    """One job of a sweep; None if it failed, which is noted in its folder."""
    forget()
    try:
        return task(cfg)
    except _EXPECTED as error:
        note(sentence(error, config_name), whole=full)
    except Exception as error:  # whatever it is, such as a device without memory: one job's
        note(f"{type(error).__name__}: {' '.join(str(error).split())}", whole=True)
    return None


def _brief_warning(message: Warning | str, category: type, filename: str, *where: Any) -> str:
    """Our own warnings as a sentence; others as Python has them."""
    if Path(filename).is_relative_to(Path(__file__).parent):
        return f"mzsane: {message}\n"
    return _PLAIN_WARNING(message, category, filename, *where)


def _help(purpose: str) -> str:
    """What the command does and what can be chosen; Hydra's own help takes a second to compose."""
    options: dict[str, list[str]] = {}
    for path in sorted(CONF_DIR.glob("*/*.yaml")):
        options.setdefault(path.parent.name, []).append(path.stem)
    width = max(map(len, options))
    groups = [f"  {group:{width}}  {', '.join(names)}" for group, names in options.items()]
    return "\n".join(
        [
            purpose,
            "Groups and their options (group=option):",
            *groups,
            "",
            "Any key of the configuration can be set (key.of.it=value); --cfg job prints it with",
            "everything set so far, --hydra-help what else there is.",
        ]
    )


@contextlib.contextmanager
def _one_sentence(config_name: str, full: bool) -> Iterator[None]:
    try:
        yield
    except _EXPECTED as error:
        if full:
            raise
        sys.exit(f"mzsane: {sentence(error, config_name)}")


def sentence(error: BaseException, config_name: str = "train") -> str:
    """The one line that says what, where and the way out."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        key = re.search(r"full_key: (\S+)", str(error))
        return (f"{key.group(1)}: " if key else "") + sentence(error.__cause__, config_name)
    key = re.search(r"Could not override '([^']+)'", str(error))
    if key and any(o.partition("=")[0].lstrip("+~") == key.group(1) for o in sys.argv[1:]):
        return _unknown_key(key.group(1), config_name)
    if option := _NO_OPTION.search(str(error)):
        name, group = option.group(1).rpartition("/")[2], option.group(2)
        known = option.group(3).split()
        return f"{group}={name}: there is no such option{suggest(name, known)}"
    if member := _NO_MEMBER.search(str(error)):
        group, name = member.groups()
        known = sorted(path.stem for path in (CONF_DIR / group).glob("*.yaml"))
        return f"{group}=[{name}]: there is no such option{suggest(name, known)}"
    cause = error.__cause__ if isinstance(error, HydraException) else None
    told = (_INNER.split(str(one))[0] for one in (error, cause) if one)
    return " ".join(": ".join(told).split())


def _unknown_key(key: str, config_name: str) -> str:
    """Name the key and its closest neighbour in the configuration without it."""
    others = [o for o in sys.argv[1:] if "=" in o and not o.startswith(("-", "hydra", key))]
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            cfg = hydra.compose(config_name, others)
        except HydraException:  # a second mistake, told next time, or the values of a sweep
            cfg = hydra.compose(config_name)
    parent, _, name = key.rpartition(".")
    node = OmegaConf.select(cfg, parent) if parent else cfg
    known = [str(k) for k in node if not str(k).startswith("_")] if node else []
    if OmegaConf.is_dict(node) and not known:
        return f"{key}: nothing is called so yet; add it with +{key}=..."
    return f"{key}: there is no such key{suggest(name, known)}"


def _leave() -> None:
    sweep = {"-m", "--multirun"} & set(sys.argv[1:])
    way = "finished jobs of the sweep are whole" if sweep else "the same command goes on from here"
    print(f"mzsane: interrupted; {way}", file=sys.stderr)
    sys.exit(130)
