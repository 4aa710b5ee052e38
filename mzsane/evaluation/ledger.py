"""Finished blocks of an evaluation, in files that are only appended to."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mzsane.evaluation.table import Row
from mzsane.files import replacing
from mzsane.models import Sane
from mzsane.sampling import Selected

Key = tuple[str, ...]
"""Names a block: source, architecture, method, protocol; a selection: by images, not protocol."""


class Ledger:
    """What has been evaluated, so that an interruption costs the block it falls into.

    A block is one line of JSON. Every process writes a file of its own and reads those of all; a
    line that was cut short counts for nothing, and so does a block of another autoencoder. What
    was selected is kept in a file of its own, because candidates cost more than all else.

    Args:
        folder: of the run; None keeps nothing.
        stamp: see `stamp_of`.
        rank: of the process.
    """

    def __init__(self, folder: Path | None, stamp: str, rank: int = 0) -> None:
        self._folder = folder
        self._path = None if folder is None else folder / f"blocks-{rank}.jsonl"
        self._stamp = stamp
        self._known = dict(_read(folder, stamp)) if folder else {}
        self._selected: dict[Key, Selected] = {}

    def get(self, key: Key) -> list[Row] | None:
        """The rows of a block, or None if it has not been finished."""
        return self._known.get(key)

    def add(self, key: Key, rows: Sequence[Row]) -> None:
        """Keep a finished block; it is on the disk when this returns."""
        self._known[key] = list(rows)
        if self._path is None:
            return
        line = json.dumps({"stamp": self._stamp, "key": key, "rows": list(rows)})
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            if file.tell() and not _ends_line(self._path):
                file.write(b"\n")
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def selected(self, key: Key, select: Callable[[], Selected]) -> Selected:
        """What was selected under this name, here or before an interruption, or else is now."""
        if key not in self._selected:
            self._selected[key] = self._kept(key, select)
        return self._selected[key]

    def _kept(self, key: Key, select: Callable[[], Selected]) -> Selected:
        if self._folder is None:
            return select()
        name = sha256(repr((self._stamp, key)).encode()).hexdigest()[:16]
        path = self._folder / f"blocks-{name}.safetensors"
        if not path.is_file():
            with replacing(path) as partial:
                save_file(_tensors(select()), partial)
        found = load_file(path)
        return Selected(**(found | {"broken": int(found["broken"])}))


def remove_blocks(folder: Path) -> None:
    """Once results are written, which hold what matters of them."""
    for path in folder.glob("blocks-*"):
        path.unlink(missing_ok=True)


def stamp_of(model: Sane, *others: object) -> str:
    """SHA-256 over an autoencoder's weights and whatever else decides the rows."""
    digest = sha256(repr(others).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def _tensors(selected: Selected) -> dict[str, Tensor]:
    """As a file holds them."""
    found = selected._replace(broken=torch.tensor(selected.broken))._asdict()
    return {name: tensor.cpu().contiguous() for name, tensor in found.items()}


def _read(folder: Path, stamp: str) -> Iterator[tuple[Key, list[Row]]]:
    """All whole blocks with this stamp."""
    for path in sorted(folder.glob("blocks-*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                block = json.loads(line)
            except ValueError:  # cut short, or half written by another process
                continue
            if block["stamp"] == stamp:
                yield tuple(block["key"]), block["rows"]


def _ends_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
