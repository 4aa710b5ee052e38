"""A zoo's folder while it is built: of one zoo, by one build, with nothing useless left."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from mzsane.files import replacing, taking_turns
from mzsane.progress import Progress
from mzsane.zoos.building.apart import IMAGES
from mzsane.zoos.building.unfinished import sweep

SETTINGS = "zoo.json"


def locked(folder: Path, progress: Progress) -> AbstractContextManager[None]:
    """One build of a folder at a time; others wait."""
    stage = f"waiting for another build of {folder.name}"
    return taking_turns(folder / ".lock", lambda: progress(stage, 0, None))


@contextmanager
def swept(folder: Path) -> Iterator[None]:
    """A folder without what a build leaves behind: before (when it was killed) and after.

    States from which a long training can go on stay.
    """
    try:
        _sweep(folder)
        yield
    finally:
        _sweep(folder)


def _sweep(folder: Path) -> None:
    sweep(folder)
    (folder / IMAGES).unlink(missing_ok=True)


def is_claimed(folder: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the folder holds the zoo of these settings, of any number of models.

    Raises:
        ValueError: if it holds a zoo of other settings.
    """
    path, wanted = folder / SETTINGS, _identity(settings)
    if not path.exists():
        return False
    found = json.loads(path.read_text())
    if differing := [key for key in wanted | found if found.get(key) != wanted.get(key)]:
        key = differing[0]
        raise ValueError(
            f"{folder} holds a zoo built with {key}={found.get(key)}, asked for "
            f"{wanted.get(key)}; give another zoo_dir, or remove the folder to build it anew"
        )
    return True


def refuse_foreign(folder: Path) -> None:
    """Refuse a folder that nobody claimed.

    Raises:
        ValueError: if there are trials in it.
    """
    if any(folder.glob("*/params.json")):
        raise ValueError(
            f"{folder} holds trials but no {SETTINGS}, so it was not built here; give another "
            "zoo_dir, or set zoo.build=false to use them as they are"
        )


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Record what this zoo is going to be."""
    with replacing(folder / SETTINGS) as partial:
        partial.write_text(json.dumps(_identity(settings), indent=1))


def _identity(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a zoo this one, as it comes back from JSON."""
    return json.loads(json.dumps(_flat({**settings, "num_models": None})))


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of settings under dotted names, so that a difference can be named."""
    flat = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}.{inner}": deep for inner, deep in _flat(value).items()}
        elif value is not None:
            flat[key] = value
    return flat
