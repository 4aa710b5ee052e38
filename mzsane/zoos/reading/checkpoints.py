"""Which checkpoints a folder of weight files holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from mzsane.zoos.reading.naming import INDEX, PART, SUFFIXES, is_weights, named
from mzsane.zoos.reading.shards import shards_of
from mzsane.zoos.reading.trees import Tree, walk
from mzsane.zoos.records import Skipped


class Checkpoint(NamedTuple):
    """Weights of one model at one epoch.

    Attributes:
        model: its name.
        epoch: as the path tells it, or the file; None if neither does.
        step: that the path tells, else 0.
        path: relative to the folder that was searched.
        file: the weights, or the index of their shards.
    """

    model: str
    epoch: int | None
    step: int
    path: str
    file: Tree


def find_checkpoints(folder: Tree, name: str) -> tuple[list[Checkpoint], list[Skipped]]:
    """Checkpoints by model and epoch, one of each, and what was left out.

    Args:
        folder: to search, with all that is below.
        name: of a model whose path says nothing about it.

    Raises:
        FileNotFoundError: if there are no files with weights.
        ValueError: if none of them can be used.
    """
    files = {path: file for path, file in walk(folder) if is_weights(file.name)}
    if not files:
        raise FileNotFoundError(
            f"{folder}: no weights in it, that is, no files ending with {', '.join(SUFFIXES)}"
        )
    whole, broken = _without_parts(files)
    placed, unplaced = _placed([_checkpoint(path, file, name) for path, file in whole.items()])
    chosen, doubled = _chosen(placed)
    skipped = [*broken, *unplaced, *doubled]
    if not chosen:
        raise ValueError(f"{folder}: none of its weights can be used; {skipped[0].reason}")
    return chosen, skipped


def _without_parts(files: dict[str, Tree]) -> tuple[dict[str, Tree], list[Skipped]]:
    """Files that are a model, or the index of one that is complete."""
    parts, broken = {path for path in files if PART.search(path)}, []
    indexed = set()
    for path, file in files.items():
        if path.endswith(INDEX):
            indexed.add(file.parent)
            try:
                prefix = path.removesuffix(file.name)
                parts |= {f"{prefix}{part}" for part in shards_of(file)}
            except (OSError, ValueError) as error:
                broken.append((path, str(error)))
    lost = [path for path in sorted(parts & files.keys()) if files[path].parent not in indexed]
    broken += [(path, f"it is part of a model, and its {INDEX} is missing") for path in lost]
    left_out = parts | {path for path, _ in broken}
    whole = {path: file for path, file in files.items() if path not in left_out}
    return whole, [Skipped(str(files[path]), reason) for path, reason in broken]


def _checkpoint(path: str, file: Tree, name: str) -> Checkpoint:
    model, epoch, step = named(path)
    if epoch is None and path.endswith(".ckpt"):
        epoch = _told(file)
    return Checkpoint(model or name, epoch, step, path, file)


def _told(file: Tree) -> int | None:
    """The epoch that a Lightning checkpoint tells; weights on disk are not read for it."""
    try:
        if isinstance(file, Path):
            document = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        else:
            with file.open() as opened:
                document = torch.load(opened, map_location="cpu", weights_only=True)
        return int(document["epoch"])
    except Exception:  # what is wrong with it will be told when its weights are asked for
        return None


def _placed(found: Sequence[Checkpoint]) -> tuple[list[Checkpoint], list[Skipped]]:
    """With an epoch each; without any number a model is at epoch 0."""
    numbered = {each.model for each in found if each.epoch is not None}
    lost = [each for each in found if each.epoch is None and each.model in numbered]
    placed = [each for each in found if each.epoch is not None or each.model not in numbered]
    return [each._replace(epoch=each.epoch or 0) for each in placed], [
        Skipped(
            str(each.file),
            f"neither its name nor the file tells an epoch; other checkpoints of '{each.model}' do",
        )
        for each in lost
    ]


def _chosen(found: Sequence[Checkpoint]) -> tuple[list[Checkpoint], list[Skipped]]:
    """One a model and epoch: of the last step, safetensors rather than pickles."""
    preferred = sorted(found, key=lambda c: (-c.step, ".safetensors" not in c.path, c.path))
    chosen: dict[tuple[str, int | None], Checkpoint] = {}
    doubled = []
    for each in preferred:
        kept = chosen.setdefault((each.model, each.epoch), each)
        if kept is not each:
            reason = f"{kept.path} is model '{kept.model}' at epoch {kept.epoch}, too, and taken"
            doubled.append(Skipped(str(each.file), reason))
    return sorted(chosen.values()), sorted(doubled)
