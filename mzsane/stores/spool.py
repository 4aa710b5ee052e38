"""Checkpoints as raw rows on disk: a zoo need not fit into memory.

A worker writes the rows that it read into a file of its own::

    <n>.rows    for each checkpoint, one after the other:
                its weights (float32 or float16), then its other buffers (int64)

Where a row lies and its checksum are kept in a journal (`mzsane.stores.journal`).
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mzsane.stores.kinds import Kind, kind_of
from mzsane.tokens import Layout
from mzsane.zoos import ModelRecord


class Place(NamedTuple):
    """Where a row lies.

    Attributes:
        file: name in the spool's folder.
        offset: of its first byte.
        checksum: CRC-32 of weights and buffers.
    """

    file: str
    offset: int
    checksum: int


class Facts(NamedTuple):
    """What is measured on a checkpoint when it is read.

    Attributes:
        rounding: largest absolute difference between a weight and what is stored of it.
        relative: norm of these differences, as a share of the norm of the weights.
        max_abs: largest absolute weight.
        norm: Euclidean norm of all weights.
    """

    rounding: float
    relative: float
    max_abs: float
    norm: float


class Read(NamedTuple):
    """A checkpoint that is on disk now."""

    kind: Kind
    place: Place
    facts: Facts


class Reading(NamedTuple):
    """A task: some records, and the file into which a worker writes their rows."""

    records: Sequence[ModelRecord]
    file: Path


def read_rows(tokens: dict[str, Any], dtype: str, task: Reading) -> list[Read | str]:
    """Read checkpoints and write their rows; in the place of a bad one stands the reason.

    Args:
        tokens: settings of `Layout.of`.
        dtype: of stored weights.
        task: what to read, and where to.

    Raises:
        OSError: if the file cannot be written.
    """
    results: list[Read | str] = []
    with task.file.open("wb") as file:
        for record in task.records:
            try:
                kind, content, facts = _row(record, tokens, dtype)
            except (ValueError, OSError) as error:
                results.append(str(error))
                continue
            place = Place(task.file.name, file.tell(), crc32(content))
            file.write(content)
            results.append(Read(kind, place, facts))
    return results


def row_bytes(layout: Layout, dtype: str) -> int:
    """Size of a row with its buffers."""
    return layout.parameters * np.dtype(dtype).itemsize + 8 * num_integers(layout)


def num_integers(layout: Layout) -> int:
    """Values of the buffers that are not floating-point."""
    return sum(math.prod(shape) for name, shape, _ in layout.shapes if name not in layout.offsets)


def load_row(
    folder: Path, place: Place, layout: Layout, dtype: str
) -> tuple[np.ndarray, Int64[np.ndarray, " values"]]:
    """Weights and buffers of a row, a copy."""
    size = row_bytes(layout, dtype)
    content = np.fromfile(folder / place.file, np.uint8, size, offset=place.offset)
    end = layout.parameters * np.dtype(dtype).itemsize
    return content[:end].view(dtype), content[end:].view(np.int64)


def is_whole(folder: Path, place: Place, size: int) -> bool:
    """Whether a row is on disk as it was written."""
    try:
        with (folder / place.file).open("rb") as file:
            file.seek(place.offset)
            return crc32(file.read(size)) == place.checksum
    except FileNotFoundError:
        return False


def _row(record: ModelRecord, tokens: dict[str, Any], dtype: str) -> tuple[Kind, bytes, Facts]:
    """A checkpoint as it is stored.

    Raises:
        ValueError: why it cannot be.
        OSError: it cannot be read.
    """
    kind, state = kind_of(record, record.load(), tokens)
    flat = _finite(kind.layout.flatten(state))
    stored = flat.to(getattr(torch, dtype))
    if not stored.isfinite().all():
        raise ValueError(f"its largest weight, {flat.abs().max():.3g}, is beyond {dtype}")
    content = stored.numpy().tobytes() + _integers(kind.layout, state).tobytes()
    return kind, content, _facts(flat, stored)


def _finite(flat: Float[Tensor, " parameters"]) -> Float[Tensor, " parameters"]:
    if bad := int((~flat.isfinite()).sum()):
        raise ValueError(f"{bad} of {len(flat)} weights are NaN or infinite")
    return flat


def _facts(flat: Float[Tensor, " parameters"], stored: Float[Tensor, " parameters"]) -> Facts:
    if not len(flat):
        return Facts(0.0, 0.0, 0.0, 0.0)
    exact = flat.double()
    norm, largest = float(torch.linalg.vector_norm(exact)), float(exact.abs().max())
    if flat.dtype == stored.dtype:
        return Facts(0.0, 0.0, largest, norm)
    error = exact - stored.double()
    relative = float(torch.linalg.vector_norm(error)) / norm if norm else 0.0
    return Facts(float(error.abs().max()), relative, largest, norm)


def _integers(layout: Layout, state: dict[str, Tensor]) -> Int64[np.ndarray, " values"]:
    """Buffers that are not floating-point, in state-dict order."""
    names = [name for name, _, _ in layout.shapes if name not in layout.offsets]
    if complex_ := [name for name in names if state[name].is_complex()]:
        raise ValueError(f"{complex_[0]} is complex; a store holds real weights")
    buffers = [state[name].reshape(-1).to(torch.int64) for name in names]
    return torch.cat(buffers).numpy() if buffers else np.zeros(0, np.int64)
