"""Sorting a stream of models by architecture, on disk: a zoo need not fit into memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.tokens import Layout
from mzsane.zoos import ModelRecord


@dataclass
class Pile:
    """The checkpoints of one architecture in the order in which they came.

    Attributes:
        file: raw rows of `dtype`, one after the other.
        layout: of every row.
        architecture: how to build it, if known.
        dtype: of the stored weights.
        keys: model and epoch of each row.
        integers: of each row.
        properties: of each row.
        rounding: largest absolute rounding error of each row.
    """

    file: Path
    layout: Layout
    architecture: Architecture | None
    dtype: str
    keys: list[tuple[str, int]] = field(default_factory=list)
    integers: list[np.ndarray] = field(default_factory=list)
    properties: list[dict[str, float | str]] = field(default_factory=list)
    rounding: list[float] = field(default_factory=list)

    def add(self, record: ModelRecord, state: Mapping[str, Tensor]) -> None:
        """Append a checkpoint, its weights already read.

        Raises:
            ValueError: why it cannot be stored.
        """
        row, error = _rounded(_finite(self.layout.flatten(state)), self.dtype)
        integers = _integers(self.layout, state)
        with self.file.open("ab") as file:
            file.write(row.tobytes())
        self.keys.append((record.model, record.epoch))
        self.integers.append(integers)
        self.properties.append(record.properties)
        self.rounding.append(error)

    def rows(self) -> np.ndarray:
        """All rows, mapped into memory, in the order in which they came."""
        shape = (len(self.keys), self.layout.parameters)
        return (
            np.zeros(shape, self.dtype)
            if 0 in shape
            else np.memmap(self.file, self.dtype, "r", 0, shape)
        )

    def order(self) -> list[int]:
        """Rows by model and epoch."""
        return sorted(range(len(self.keys)), key=self.keys.__getitem__)


class Spool:
    """A pile for each architecture.

    Args:
        folder: for temporary files, as large as the zoo's weights.
        tokens: settings of `Layout.of`.
        dtype: of the stored weights.
    """

    def __init__(self, folder: Path, tokens: Mapping[str, int | str], dtype: str) -> None:
        self.folder, self.tokens, self.dtype = folder, tokens, dtype
        self._piles: dict[tuple[str, Layout], Pile] = {}
        self._seen: set[tuple[str, int]] = set()

    @property
    def piles(self) -> list[Pile]:
        """Those that hold something, in the order of their architectures' first models."""
        return [pile for pile in self._piles.values() if pile.keys]

    def add(self, record: ModelRecord) -> None:
        """Put a checkpoint on its pile.

        Raises:
            ValueError: why it cannot be stored.
        """
        if (key := (record.model, record.epoch)) in self._seen:
            raise ValueError("the zoo has this model and epoch twice; the first one is stored")
        state = record.load()
        self._pile(record, state).add(record, state)
        self._seen.add(key)

    def _pile(self, record: ModelRecord, state: Mapping[str, Tensor]) -> Pile:
        layout = Layout.of(state, **self.tokens)
        architecture = record.architecture
        key = (architecture.fingerprint if architecture else "", layout)
        if key not in self._piles:
            file = self.folder / f"{len(self._piles)}.rows"
            self._piles[key] = Pile(file, layout, architecture, self.dtype)
        return self._piles[key]


def _finite(flat: Float[Tensor, " parameters"]) -> Float[Tensor, " parameters"]:
    if bad := int((~flat.isfinite()).sum()):
        raise ValueError(f"{bad} of {len(flat)} weights are NaN or infinite")
    return flat


def _rounded(
    flat: Float[Tensor, " parameters"], dtype: str
) -> tuple[Float[np.ndarray, " parameters"], float]:
    """The row as it is stored, and the largest absolute error this makes."""
    stored = flat.to(getattr(torch, dtype))
    if not stored.isfinite().all():
        raise ValueError(f"its largest weight, {flat.abs().max():.3g}, is beyond {dtype}")
    error = (flat.double() - stored.double()).abs().max() if len(flat) else 0.0
    return stored.numpy(), float(error)


def _integers(layout: Layout, state: Mapping[str, Tensor]) -> Int64[np.ndarray, " values"]:
    """Buffers that are not floating-point, in state-dict order."""
    names = [name for name, _, _ in layout.shapes if name not in layout.offsets]
    if complex_ := [name for name in names if state[name].is_complex()]:
        raise ValueError(f"{complex_[0]} is complex; a store holds real weights")
    buffers = [state[name].reshape(-1).to(torch.int64) for name in names]
    return torch.cat(buffers).numpy() if buffers else np.zeros(0, np.int64)
