"""Where in a folder the trials are, from names alone."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mzsane.zoos.reading.results import description
from mzsane.zoos.reading.trees import Tree

_SUFFIXES = ("", ".pt", ".pth", ".ckpt", ".bin", ".safetensors")  # of files with weights
_CHECKPOINT = re.compile(r"checkpoint_0*(\d+)(\.pt|\.pth|\.ckpt|\.safetensors)?$")
_COMPANIONS = ("optimizer", "scheduler")  # what training leaves beside the weights


class TrialFolder(NamedTuple):
    """A folder that might be a trial.

    Attributes:
        name: its path in the folder that was searched.
        folder: itself.
        description: the file with the hyper-parameters.
        checkpoints: by number; each a folder, or the weights themselves.
    """

    name: str
    folder: Tree
    description: Tree | None
    checkpoints: dict[int, Tree]

    @property
    def whole(self) -> bool:
        """Whether it is a trial; with one of the two it is at best a damaged one."""
        return bool(self.description and self.checkpoints)


def find_trials(folder: Tree) -> list[TrialFolder]:
    """Trials, at any depth, sorted by name; a folder that is one itself is the only one.

    Where there are trials, what lies beside them and has only a description or only checkpoints
    comes along. Hidden folders are none.
    """
    itself = _look(folder, folder.resolve().name if isinstance(folder, Path) else folder.name)
    return [itself] if itself.whole else sorted(_search(folder, "", frozenset()))


def weights_file(checkpoint: Tree) -> Tree | None:
    """The file with the weights: ``checkpoints``, or else the only one that could be it."""
    if checkpoint.is_file():
        return checkpoint
    if (checkpoint / "checkpoints").is_file():
        return checkpoint / "checkpoints"
    visible = (path for path in checkpoint.iterdir() if not path.name.startswith("."))
    others = [path for path in visible if path.suffix in _SUFFIXES and path.is_file()]
    found = [path for path in others if path.name.partition(".")[0] not in _COMPANIONS]
    return found[0] if len(found) == 1 else None


def _search(folder: Tree, prefix: str, above: frozenset[Path]) -> Iterator[TrialFolder]:
    """Trials below a folder; links are followed, but not round in circles."""
    if isinstance(folder, Path):
        if folder.resolve() in above:
            return
        above = above | {folder.resolve()}
    children = [_look(child, f"{prefix}{child.name}") for child in _subfolders(folder)]
    beside_trials = any(child.whole for child in children)
    for child in children:
        below = [] if child.whole else list(_search(child.folder, f"{child.name}/", above))
        damaged = beside_trials and not below and (child.description or child.checkpoints)
        yield from [child] if child.whole or damaged else below


def _look(folder: Tree, name: str) -> TrialFolder:
    # sorted, so that of checkpoint_50 and checkpoint_000050 the first counts, as in public loaders
    numbered = ((_CHECKPOINT.match(path.name), path) for path in sorted(folder.iterdir()))
    checkpoints = {int(match[1]): path for match, path in numbered if match}
    return TrialFolder(name, folder, description(folder), checkpoints)


def _subfolders(folder: Tree) -> list[Tree]:
    """Visible ones, but for checkpoints."""
    visible = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [path for path in visible if path.is_dir() and not _CHECKPOINT.match(path.name)]
