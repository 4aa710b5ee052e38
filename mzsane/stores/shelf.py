"""All checkpoints of one architecture in a store."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, Shaped
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.stores.selection import chosen_epochs, chosen_models
from mzsane.symmetry import Symmetry
from mzsane.tokens import Layout

BLOCK = 2**24  # bytes read at once


class Ledger(NamedTuple):
    """How each row came to be.

    Attributes:
        stamps: of the file that it was read from, hashed; 0 if unknown.
        rounding: largest absolute difference between a weight and what is stored of it; norm of
            these differences as a share of the norm of the weights.
        similarity: cosine with the reference over the tensors that the symmetry moves, before
            and after aligning; NaN if the row was not aligned.
    """

    stamps: Int64[np.ndarray, " models"]
    rounding: Float[np.ndarray, "models 2"]
    similarity: Float[np.ndarray, "models 2"]


@dataclass(frozen=True, eq=False)
class Shelf:
    """Rows of weights in canonical form, ordered by model and epoch, and what is known of them.

    The weights stay in the file and are mapped into memory when first read, in each process by
    itself; everything else is in memory.

    Attributes:
        path: of the store.
        source: the store's name.
        layout: how a row becomes tokens or a state dict.
        symmetry: permutations that leave the network's function as it is; None where unknown.
        untraced: why it is unknown.
        by_hand: what became of groups given by hand; empty if none were.
        architecture: how to build the network; None where unknown.
        recognised: how it is known, and what was assumed; empty where the zoo says it.
        reference: row to which the others were aligned; None if that is on another shelf or
            outside the store, or nothing was aligned.
        frame: SHA-256 of the reference's weights: shelves that share it are aligned to each other.
            Empty if nothing was aligned.
        models: name of each row's model.
        epochs: of each row.
        integers: values of the buffers that are not floating-point, in state-dict order.
        properties: a column each; missing numbers are NaN, missing strings empty. Every shelf has
            ``weights::max_abs`` and ``weights::norm``.
        ledger: how each row came to be.
        offset: of the weights in the file, in bytes.
        dtype: of the stored weights.
    """

    path: Path
    source: str
    layout: Layout
    symmetry: Symmetry | None
    untraced: str
    by_hand: str
    architecture: Architecture | None
    recognised: tuple[str, ...]
    reference: int | None
    frame: str
    models: Shaped[np.ndarray, " models"]
    epochs: Int64[np.ndarray, " models"]
    integers: Int64[np.ndarray, "models values"]
    properties: dict[str, np.ndarray]
    ledger: Ledger
    offset: int
    dtype: str

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.models)

    def __getstate__(self) -> dict[str, Any]:
        """Without the map: another process maps the file itself."""
        return {name: value for name, value in self.__dict__.items() if name != "weights"}

    @cached_property
    def weights(self) -> Float[np.ndarray, "models parameters"]:
        """Flat vectors, a read-only map of the file."""
        shape = (len(self), self.layout.parameters)
        if 0 in shape:
            return np.zeros(shape, self.dtype)
        return np.memmap(self.path, self.dtype, "r", self.offset, shape)

    def select(
        self,
        split: str | None = None,
        num_models: int | None = None,
        epochs: Sequence[int] | None = None,
    ) -> Int64[np.ndarray, " rows"]:
        """Rows of a split, ascending.

        Args:
            split: ``train``, ``validation``, ``test``, decided by the model's name; None takes all.
            num_models: the first so many in a fixed random order, so that a larger number keeps
                the models of a smaller one; None takes all.
            epochs: which checkpoints of each model; None takes all.

        Raises:
            ValueError: an unknown split, more models than there are, epochs that none has.
        """
        models = chosen_models(self.models, split, num_models, self.source)
        chosen = np.isin(self.models, models) & chosen_epochs(self.epochs, epochs, self.source)
        return np.flatnonzero(chosen)

    def state(self, row: int) -> dict[str, Tensor]:
        """State dict of one row, a copy."""
        return {name: stack[0] for name, stack in self.states(np.array([row])).items()}

    def states(self, rows: Int[np.ndarray, " rows"]) -> dict[str, Shaped[Tensor, "rows ..."]]:
        """State dicts of several rows, stacked: every tensor has a leading model axis; a copy."""
        values = self.weights[rows].astype(np.float32)
        return self.layout.unflatten(torch.from_numpy(values), self._buffers(rows))

    def _buffers(self, rows: Int[np.ndarray, " rows"]) -> dict[str, Tensor]:
        values, buffers, first = torch.from_numpy(self.integers[rows]), {}, 0
        for name, shape, dtype in self.layout.shapes:
            if name not in self.layout.offsets:
                last = first + math.prod(shape)
                buffer = values[:, first:last].reshape(len(rows), *shape)
                buffers[name] = buffer.to(getattr(torch, dtype))
                first = last
        return buffers

    def digest(self) -> str:
        """SHA-256 over all that a reader sees: weights, names, properties, symmetry."""
        texts = [
            self.layout.to_json(),
            self.symmetry.to_json() if self.symmetry else "",
            self.architecture.to_json() if self.architecture else "",
            *self.models,
        ]
        digest = sha256(json.dumps(texts).encode())
        digest.update(self.epochs.tobytes() + self.integers.tobytes())
        for name, column in sorted(self.properties.items()):
            digest.update(json.dumps([name, column.tolist()]).encode())
        for block in self._blocks():
            digest.update(block)
        return digest.hexdigest()

    def _blocks(self) -> Iterator[bytes]:
        """All weights, a little at a time; read, because what is mapped stays in memory."""
        left = len(self) * self.layout.parameters * np.dtype(self.dtype).itemsize
        with self.path.open("rb") as file:
            file.seek(self.offset)
            while left and (block := file.read(min(left, BLOCK))):
                left -= len(block)
                yield block
