"""One model in several files, with an index that tells which tensor is where.

``model.safetensors.index.json`` and ``pytorch_model.bin.index.json`` hold ``{"weight_map": {tensor:
file}}``; the files lie beside the index.
"""

import json

from torch import Tensor

from mzsane.zoos.reading.loading import load_weights
from mzsane.zoos.reading.trees import Tree


def shards_of(index: Tree) -> dict[str, Tree]:
    """Files by name that the index lists.

    Raises:
        FileNotFoundError: if one is missing.
        ValueError: if this is no index.
    """
    files = {name: index.parent / name for name in sorted(set(_weight_map(index).values()))}
    if missing := [name for name, file in files.items() if not file.is_file()]:
        raise FileNotFoundError(
            f"{index}: {len(missing)} of {len(files)} parts are missing, first {missing[0]}; "
            "fetch them again"
        )
    return files


def load_shards(index: Tree, trust_pickle: bool = False) -> dict[str, Tensor]:
    """The state dict of all shards together.

    Args:
        index: the file that lists them.
        trust_pickle: see `load_weights`.

    Raises:
        OSError: if a shard is missing or cannot be opened.
        ValueError: if one is damaged, or they do not hold the tensors that the index lists.
    """
    state: dict[str, Tensor] = {}
    for name, file in shards_of(index).items():
        try:
            state |= load_weights(file, trust_pickle)
        except ValueError as error:
            raise ValueError(f"its part {name}: {error}") from error
    if len(state) != (listed := len(_weight_map(index))):
        raise ValueError(f"its parts hold {len(state)} tensors, its index lists {listed}")
    return state


def _weight_map(index: Tree) -> dict[str, str]:
    try:
        found = json.loads(index.read_text())["weight_map"]
        flat = all(
            isinstance(name, str) and "/" not in name and "\\" not in name
            for name in found.values()
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} is no index of shards, it has no 'weight_map'") from error
    if not flat or not found:
        raise ValueError(f"{index} lists no files, or files that do not lie beside it")
    return found
