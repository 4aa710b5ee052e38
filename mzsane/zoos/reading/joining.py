"""Which row of a table of properties is about which checkpoint."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import PurePosixPath

from mzsane.zoos.reading.checkpoints import Checkpoint
from mzsane.zoos.reading.results import in_percent, shares
from mzsane.zoos.reading.tables import Row
from mzsane.zoos.records import Skipped


def joined(
    rows: Sequence[Row], checkpoints: Sequence[Checkpoint]
) -> tuple[dict[str, dict[str, float | str]], list[Skipped]]:
    """Properties by path of the checkpoint, and the rows that fit none.

    A row's name is a model's, else a file's path with or without suffix, else the last part of
    either, if only one model has it. The later row counts, and one with an epoch before one for
    all. Accuracies become shares of one: a table is in percent if any of them exceeds 1.
    """
    sets = _aliases(checkpoints)
    properties: dict[str, dict[str, float | str]] = {}
    unknown = []
    for row in sorted(rows, key=lambda row: row.epoch is not None):
        fitting = next((aliases[row.name] for aliases in sets if row.name in aliases), [])
        if len({each.model for each in fitting}) != 1:
            what = "fits several models" if fitting else "fits no model"
            unknown.append(Skipped(row.where, f"its name '{row.name}' {what}"))
            continue
        for each in fitting:
            if row.epoch in (None, each.epoch):
                properties.setdefault(each.path, {}).update(row.properties)
    if in_percent([dict(enumerate(properties.values()))]):
        properties = {path: shares(values) for path, values in properties.items()}
    return properties, unknown


def stamped(stamp: str, told: Mapping[str, float | str]) -> str:
    """A file's stamp that also changes with what is told of it elsewhere; as it was if nothing is.

    A store that knows a checkpoint by its stamp then takes up a table that was added or mended.
    """
    if not stamp or not told:
        return stamp
    return f"{stamp} {sha256(json.dumps(sorted(told.items())).encode()).hexdigest()}"


def _aliases(checkpoints: Sequence[Checkpoint]) -> list[dict[str, list[Checkpoint]]]:
    """Checkpoints by what they can be called, the most telling names first."""
    models, paths, ends = defaultdict(list), defaultdict(list), defaultdict(list)
    for each in checkpoints:
        models[each.model].append(each)
        names = {each.path, each.path.rpartition(".")[0]}
        for name in names:
            paths[name].append(each)
        for name in {PurePosixPath(name).name for name in (each.model, *names)}:
            ends[name].append(each)
    return [models, paths, ends]
