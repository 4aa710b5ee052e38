"""Windows for training: sample `k` is a function of (seed, k) and of nothing else."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, count

import numpy as np
from jaxtyping import Int64
from torch.utils.data import Dataset

from mzsane.data.batch import Batch
from mzsane.data.counter import PLACE, SOURCE, names_of, uniforms
from mzsane.data.filling import Buffers, Cut, Part, fill
from mzsane.data.mixture import mixture
from mzsane.data.windows import WindowPlan
from mzsane.stores import TokenStore


class Windows(ABC, Dataset[Batch]):
    """What the training and the validation windows have in common.

    Args:
        stores: by source; they have one token size.
        window: tokens of a window; shorter models are filled up and marked, or packed.
        seed: of the run.
        split: by model, see `Shelf.select`.
        num_models: networks per source; None takes all.
        epochs: checkpoints of each network; None takes all.
        pack: fill windows up with further models of the same source.

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
        pack: bool = False,
    ) -> None:
        _check(stores, window)
        self.sources = tuple(stores)
        self.window, self.seed, self.pack = window, seed, pack
        self.d_token = next(iter(stores.values())).d_token
        self._buffers = Buffers()
        shelves = [
            (source, shelf, rows)
            for source, store in enumerate(stores.values())
            for shelf, rows in zip(
                store.architectures, store.select(split, num_models, epochs), strict=True
            )
        ]
        self._parts = [
            Part(source, number, shelf, rows, WindowPlan(shelf.layout, shelf.symmetry))
            for number, (source, shelf, rows) in enumerate(shelves)
            if len(rows) and shelf.layout.num_tokens
        ]

    def __getitem__(self, k: int) -> Batch:
        """A batch of one."""
        return self.__getitems__([k])

    def __getitems__(self, keys: Sequence[int]) -> Batch:
        """The batch of these samples; the name by which torch's loader asks for many at once."""
        samples = self._draw(np.array(keys, np.int64))
        return fill(samples, keys, self.window, self.d_token, self._buffers)

    @abstractmethod
    def _draw(self, keys: Int64[np.ndarray, " samples"]) -> list[list[Cut]]:
        """What each sample shows."""


class WindowDataset(Windows):
    """An endless stream of windows for training.

    Source by the mixture's probabilities; checkpoint, window and the permutation of the second view
    uniformly. Every window that lies inside the model is equally likely, the first and the last
    included. A packed window goes on, until it is full, with further checkpoints of its source,
    drawn alike; the last one is cut to what is left.

    Args:
        stores: see `Windows`.
        window: see `Windows`.
        seed: see `Windows`.
        mix: see `mixture`.
        temperature: see `mixture`.
        num_models: see `Windows`.
        epochs: see `Windows`.
        pack: see `Windows`.
        repeat: show the first so many samples again and again: sample ``k`` is sample
            ``k % repeat``, its permutation and, by its key, its noise included. None never repeats.

    Raises:
        ValueError: as `Windows` and `mixture`; a source without training models; `repeat` below 1.
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
        pack: bool = False,
        repeat: int | None = None,
    ) -> None:
        super().__init__(stores, window, seed, "train", num_models, epochs, pack)
        if repeat is not None and repeat < 1:
            raise ValueError(f"data.repeat={repeat}: at least one sample; null never repeats")
        self.repeat = repeat
        self.counts = {
            name: sum(len(part.rows) for part in self._parts if part.source == source)
            for source, name in enumerate(self.sources)
        }
        if empty := [name for name, count in self.counts.items() if not count]:
            raise ValueError(f"{', '.join(empty)}: no model falls into the train split; add models")
        self.probabilities = mixture(self.counts, mix, temperature)
        self._shares = np.cumsum(self.probabilities)[:-1]
        self._within = {
            source: list(accumulate(len(p.rows) * (p.source == source) for p in self._parts))
            for source in range(len(self.sources))
        }

    def __getitems__(self, keys: Sequence[int]) -> Batch:
        """The batch of these samples, which have the keys that they repeat."""
        return super().__getitems__([key % self.repeat for key in keys] if self.repeat else keys)

    def _draw(self, keys: Int64[np.ndarray, " samples"]) -> list[list[Cut]]:
        chances = uniforms(names_of(self.seed, SOURCE, keys), 1)[:, 0]
        sources = np.searchsorted(self._shares, chances, side="right").tolist()
        samples: list[list[Cut]] = [[] for _ in sources]
        left = [self.window] * len(samples)
        going = list(range(len(samples)))
        for number in count():
            names = names_of(self.seed, PLACE, keys[going], number)
            for at, name, chance in zip(going, names.tolist(), uniforms(names, 2), strict=True):
                samples[at].append(self._cut(sources[at], left[at], name, *chance.tolist()))
                left[at] -= samples[at][-1].tokens
            going = [at for at in going if self.pack and left[at]]
            if not going:
                return samples

    def _cut(self, source: int, most: int, name: int, which: float, where: float) -> Cut:
        """At most so many tokens of a checkpoint of this source; both chances in [0, 1)."""
        ends = self._within[source]
        drawn = int(which * ends[-1])
        at = bisect_right(ends, drawn)
        part = self._parts[at]
        row = int(part.rows[drawn - ends[at] + len(part.rows)])
        tokens = min(most, part.plan.num_tokens)
        start = int(where * (part.plan.num_tokens - tokens + 1))
        return Cut(part, row, start, tokens, name)


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
