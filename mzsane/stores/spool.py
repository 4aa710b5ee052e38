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


class Row(NamedTuple):
    """A checkpoint as it is stored."""

    kind: Kind
    weights: Float[np.ndarray, " parameters"]
    integers: Int64[np.ndarray, " values"]
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
                row = _row(record, tokens, dtype)
            except (ValueError, OSError) as error:
                results.append(str(error))
                continue
            checksum = crc32(row.integers, crc32(row.weights))
            place = Place(task.file.name, file.tell(), checksum)
            file.write(row.weights.data)
            file.write(row.integers.data)
            results.append(Read(row.kind, place, row.facts))
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


def _row(record: ModelRecord, tokens: dict[str, Any], dtype: str) -> Row:
    """A checkpoint as it is stored.

    Raises:
        ValueError: why it cannot be.
        OSError: it cannot be read.
    """
    kind, state = kind_of(record, record.load(), tokens)
    flat = kind.layout.flatten(state)
    largest = _largest(flat)
    stored = flat.to(getattr(torch, dtype))
    if stored.dtype != flat.dtype and not stored.isfinite().all():
        raise ValueError(f"its largest weight, {largest:.3g}, is beyond {dtype}")
    return Row(kind, stored.numpy(), _integers(kind.layout, state), _facts(flat, stored, largest))


def _largest(flat: Float[Tensor, " parameters"]) -> float:
    """The largest absolute weight.

    Raises:
        ValueError: some are NaN or infinite.
    """
    if not len(flat):
        return 0.0
    least, most = map(float, flat.aminmax())  # NaN if there is one
    if not math.isfinite(least) or not math.isfinite(most):
        bad = int((~flat.isfinite()).sum())
        raise ValueError(f"{bad} of {len(flat)} weights are NaN or infinite")
    return max(-least, most)


def _facts(
    flat: Float[Tensor, " parameters"], stored: Float[Tensor, " parameters"], largest: float
) -> Facts:
    norm = float(torch.linalg.vector_norm(flat, dtype=torch.float64))
    if flat.dtype == stored.dtype or not len(flat):
        return Facts(0.0, 0.0, largest, norm)
    error = flat.double() - stored.double()
    relative = float(torch.linalg.vector_norm(error)) / norm if norm else 0.0
    return Facts(float(error.abs().max()), relative, largest, norm)


def _integers(layout: Layout, state: dict[str, Tensor]) -> Int64[np.ndarray, " values"]:
    """Buffers that are not floating-point, in state-dict order."""
    names = [name for name, _, _ in layout.shapes if name not in layout.offsets]
    if complex_ := [name for name in names if state[name].is_complex()]:
        raise ValueError(f"{complex_[0]} is complex; a store holds real weights")
    buffers = [state[name].reshape(-1).to(torch.int64) for name in names]
    return torch.cat(buffers).numpy() if buffers else np.zeros(0, np.int64)
