"""Windows of stored models: sample `k` is a function of (seed, k) and of nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Dataset

from mzsane.data.batch import Batch
from mzsane.data.mixture import mixture
from mzsane.data.windows import WindowPlan
from mzsane.stores import Shelf, TokenStore
from mzsane.symmetry import Permutation

TRAIN, VALIDATION = 0, 1  # purposes of the random numbers; one seed gives each its own


class _Part(NamedTuple):
    """The chosen rows of one shelf."""

    source: int
    shelf: Shelf
    rows: np.ndarray
    plan: WindowPlan


class _Draw(NamedTuple):
    """What a sample shows."""

    part: _Part
    row: int
    start: int
    permutation: Permutation | None


class Windows(ABC, Dataset[Batch]):
    """What the training and the validation windows have in common.

    Args:
        stores: by source; they have one token size.
        window: tokens of a window; shorter models are filled up and marked.
        seed: of the run.
        split: by model, see `Shelf.select`.
        num_models: networks per source; None takes all.
        epochs: checkpoints of each network; None takes all.

    Raises:
        ValueError: no store, stores of different token sizes, a window below 1, or more models
            asked for than there are.
    """

    def __init__(
        self,
        stores: Mapping[str, TokenStore],
        window: int,
        seed: int,
        split: str,
        num_models: int | None = None,
        epochs: Sequence[int] | None = None,
    ) -> None:
        _check(stores, window)
        self.sources = tuple(stores)
        self.window, self.seed = window, seed
        self.d_token = next(iter(stores.values())).d_token
        self._parts = [
            _Part(source, shelf, rows, WindowPlan(shelf.layout, shelf.symmetry))
            for source, store in enumerate(stores.values())
            for shelf, rows in zip(
                store.architectures, store.select(split, num_models, epochs), strict=True
            )
            if len(rows)
        ]

    def __getitem__(self, k: int) -> Batch:
        """A batch of one."""
        return self.__getitems__([k])

    def __getitems__(self, keys: Sequence[int]) -> Batch:
        """The batch of these samples; the name by which torch's loader asks for many at once."""
        values = np.zeros((len(keys), 2, self.window, self.d_token), np.float32)
        mask = np.zeros((len(keys), self.window, self.d_token), bool)
        positions = np.zeros((len(keys), self.window, 3), np.int64)
        real = np.zeros((len(keys), self.window), bool)
        source = np.zeros(len(keys), np.int64)
        for at, k in enumerate(keys):
            draw = self._draw(k)
            tokens = min(self.window, draw.part.plan.num_tokens - draw.start)
            span = slice(draw.start, draw.start + tokens)
            for view, permutation in enumerate((None, draw.permutation)):
                index = draw.part.plan.index(span.start, span.stop, permutation)
                flat = np.asarray(draw.part.shelf.weights[draw.row])
                values[at, view, :tokens] = flat.take(index, mode="clip")  # reads only these
            mask[at, :tokens] = index >= 0
            positions[at, :tokens] = draw.part.shelf.layout.positions[span]
            real[at, :tokens] = True
            source[at] = draw.part.source
            np.copyto(values[at], 0, where=~mask[at])
        arrays = (values, mask, positions, real, source, np.array(keys, np.int64))
        return Batch(*map(torch.from_numpy, arrays))

    @abstractmethod
    def _draw(self, k: int) -> _Draw:
        """What sample `k` shows."""


class WindowDataset(Windows):
    """An endless stream of windows for training.

    Source by the mixture's probabilities; checkpoint, window and the permutation of the second view
    uniformly. Every window that lies inside the model is equally likely, the first and the last
    included.

    Args:
        stores: see `Windows`.
        window: see `Windows`.
        seed: see `Windows`.
        mix: see `mixture`.
        temperature: see `mixture`.
        num_models: see `Windows`.
        epochs: see `Windows`.

    Raises:
        ValueError: as `Windows` and `mixture`; a source without training models.
    """

    def __init__(
        self,
        stores: Mapping[str, TokenStore],
        window: int,
        seed: int,
        mix: str | Mapping[str, float] = "proportional",
        temperature: float = 2.0,
        num_models: int | None = None,
        epochs: Sequence[int] | None = None,
    ) -> None:
        super().__init__(stores, window, seed, "train", num_models, epochs)
        self.counts = {
            name: sum(len(part.rows) for part in self._parts if part.source == source)
            for source, name in enumerate(self.sources)
        }
        if empty := [name for name, count in self.counts.items() if not count]:
            raise ValueError(f"{', '.join(empty)}: no model falls into the train split; add models")
        self.probabilities = mixture(self.counts, mix, temperature)
        self._shares = np.cumsum(self.probabilities)[:-1]
        self._within = {
            source: np.cumsum([len(p.rows) if p.source == source else 0 for p in self._parts])
            for source in range(len(self.sources))
        }

    def _draw(self, k: int) -> _Draw:
        rng = np.random.default_rng([self.seed, TRAIN, k])
        source = int(np.searchsorted(self._shares, rng.random(), side="right"))
        ends = self._within[source]
        drawn = int(rng.integers(ends[-1]))
        at = int(np.searchsorted(ends, drawn, side="right"))
        part = self._parts[at]
        row = int(part.rows[drawn - ends[at] + len(part.rows)])
        start = int(rng.integers(max(part.plan.num_tokens - self.window, 0) + 1))
        return _Draw(part, row, start, _permutation(part, rng))


class ValidationWindows(Windows):
    """A fixed list: windows that cover every model of the validation split, each in two views.

    The windows of a model follow each other; the last one is moved back to end with the model. The
    permutation of the second view depends on seed and number alone.

    Args:
        stores: see `Windows`.
        window: see `Windows`.
        seed: see `Windows`.
        epochs: see `Windows`.
        per_model: so many windows of each checkpoint, evenly spread, for long models; None covers
            them.

    Raises:
        ValueError: as `Windows`; no source has a model in the validation split.
    """

    def __init__(
        self,
        stores: Mapping[str, TokenStore],
        window: int,
        seed: int,
        epochs: Sequence[int] | None = None,
        per_model: int | None = None,
    ) -> None:
        super().__init__(stores, window, seed, "validation", None, epochs)
        self._places = [
            (part, int(row), start)
            for part in self._parts
            for row in part.rows
            for start in _starts(part.plan.num_tokens, window, per_model)
        ]
        if not self._places:
            raise ValueError(
                f"{', '.join(self.sources)}: no model falls into the validation split; add models"
            )

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._places)

    def _draw(self, k: int) -> _Draw:
        part, row, start = self._places[k]
        rng = np.random.default_rng([self.seed, VALIDATION, k])
        return _Draw(part, row, start, _permutation(part, rng))


def _permutation(part: _Part, rng: np.random.Generator) -> Permutation | None:
    return None if part.shelf.symmetry is None else part.shelf.symmetry.random(rng)


def _starts(length: int, window: int, count: int | None) -> list[int]:
    """First tokens of windows that cover the model, or of `count` windows spread over it."""
    last = max(length - window, 0)
    if count is None:
        return [min(start, last) for start in range(0, length, window)]
    return sorted(set(np.linspace(0, last, count).round().astype(int).tolist()))


def _check(stores: Mapping[str, TokenStore], window: int) -> None:
    if not stores:
        raise ValueError("data.stores: no source given; name at least one zoo")
    if window < 1:
        raise ValueError(f"data.window={window}: a window holds at least one token")
    first, *others = stores.items()
    for name, store in others:
        if store.d_token != first[1].d_token:
            raise ValueError(
                f"{name}: its tokens have {store.d_token} entries, those of {first[0]} "
                f"{first[1].d_token}; preprocess both with one token size (tokens.size)"
            )
