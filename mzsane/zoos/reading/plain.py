"""Plain folders of weight files: a file a model, or a file a checkpoint, in any subfolders."""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from mzsane.architectures import Architecture
from mzsane.zoos.reading.checkpoints import Checkpoint, find_checkpoints
from mzsane.zoos.reading.joining import joined, stamped
from mzsane.zoos.reading.loading import load_weights
from mzsane.zoos.reading.naming import INDEX
from mzsane.zoos.reading.results import scalars, with_gap
from mzsane.zoos.reading.shards import load_shards, shards_of
from mzsane.zoos.reading.tables import find_table, read_table
from mzsane.zoos.reading.trees import Tree, stamp
from mzsane.zoos.records import ModelRecord, Skipped

CONFIG = "config.json"  # beside the weights, on the hub

Properties = dict[str, float | str]


def read_plain(
    folder: Tree,
    *,
    epochs: Sequence[int] | None = None,
    architecture: Architecture | None = None,
    properties: Tree | None = None,
    trust_pickle: bool = False,
    name: str | None = None,
) -> Iterator[ModelRecord | Skipped]:
    """Every checkpoint below a folder, by model and epoch as `naming` tells them.

    Where a path tells no epoch, a Lightning checkpoint (``.ckpt``) tells its own, and others have
    epoch 0, unless there are checkpoints of the same model with an epoch: then one without cannot
    be placed, and is reported. Of several checkpoints of one model and epoch the last step is
    taken, safetensors before pickles, and the others are reported. What trainers leave beside
    weights (optimizers, schedulers, data sets) is passed over.

    Args:
        folder: on disk or in an archive.
        epochs: to read; None reads all.
        architecture: of all models, if known.
        properties: a table of them, see `tables`; None takes the folder's own, if any. Rows
            that fit no model are reported. Scalars in a ``config.json`` beside the weights become
            properties, too.
        trust_pickle: see `load_weights`.
        name: of a model whose path says nothing about it; None takes the folder's.

    Raises:
        FileNotFoundError: if there are no weights, or not the table.
        ValueError: if there are none of these epochs, or the table cannot be understood.
    """
    found, skipped = find_checkpoints(folder, name or _name(folder))
    there = {each.epoch for each in found}
    wanted = [each for each in found if epochs is None or each.epoch in epochs]
    if not wanted:
        raise ValueError(
            f"{folder}: no model has a checkpoint of epochs {sorted(epochs or [])}; choose from "
            f"{sorted(there)}"
        )
    described, unknown = _described(folder, found, properties)

    def record(each: Checkpoint) -> ModelRecord:
        sharded = each.path.endswith(INDEX)
        files = [each.file, *(shards_of(each.file).values() if sharded else ())]
        return ModelRecord(
            model=each.model,
            epoch=each.epoch,
            load=partial(load_shards if sharded else load_weights, each.file, trust_pickle),
            properties=described[each.path],
            architecture=architecture,
            provenance={"zoo": str(folder), "file": str(each.file)},
            stamp=stamped(" ".join(map(stamp, files)), described[each.path]),
        )

    return chain(map(record, wanted), skipped, unknown)


def _name(folder: Tree) -> str:
    return folder.resolve().name if isinstance(folder, Path) else folder.name


def _described(
    folder: Tree, found: Sequence[Checkpoint], table: Tree | None
) -> tuple[dict[str, Properties], list[Skipped]]:
    """Properties by the checkpoints' paths, accuracies as shares of one; rows that fit nothing."""
    table = table or find_table(folder)
    rows, unknown = joined(read_table(table), found) if table else ({}, [])
    configs = {parent: _config(parent) for parent in {each.file.parent for each in found}}
    described = {
        each.path: with_gap(configs[each.file.parent] | rows.get(each.path, {})) for each in found
    }
    return described, unknown


def _config(folder: Tree) -> Properties:
    """What a ``config.json`` tells, its keys marked as the published zoos mark theirs."""
    file = folder / CONFIG
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file}: not JSON: {error}; mend it or remove it") from error
    values = scalars(config) if isinstance(config, dict) else {}
    return {key if "::" in key else f"config::{key}": value for key, value in values.items()}
