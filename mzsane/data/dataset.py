"""Windows for training: sample `k` is a function of (seed, k) and of nothing else."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np
from torch.utils.data import Dataset

from mzsane.data.batch import Batch
from mzsane.data.filling import Buffers, Cut, Part, fill
from mzsane.data.mixture import mixture
from mzsane.data.windows import WindowPlan
from mzsane.stores import TokenStore

TRAIN, VALIDATION = 0, 1  # purposes of the random numbers; one seed gives each its own


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
        self._parts = [
            Part(source, shelf, rows, WindowPlan(shelf.layout, shelf.symmetry))
            for source, store in enumerate(stores.values())
            for shelf, rows in zip(
                store.architectures, store.select(split, num_models, epochs), strict=True
            )
            if len(rows) and shelf.layout.num_tokens
        ]

    def __getitem__(self, k: int) -> Batch:
        """A batch of one."""
        return self.__getitems__([k])

    def __getitems__(self, keys: Sequence[int]) -> Batch:
        """The batch of these samples; the name by which torch's loader asks for many at once."""
        samples = [self._draw(k) for k in keys]
        return fill(samples, keys, self.window, self.d_token, self._buffers)

    @abstractmethod
    def _draw(self, k: int) -> list[Cut]:
        """What sample `k` shows."""


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
        pack: bool = False,
    ) -> None:
        super().__init__(stores, window, seed, "train", num_models, epochs, pack)
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

    def _draw(self, k: int) -> list[Cut]:
        rng = np.random.default_rng([self.seed, TRAIN, k])
        source = int(np.searchsorted(self._shares, rng.random(), side="right"))
        cuts = [self._cut(source, self.window, rng)]
        left = self.window - cuts[0].tokens
        while self.pack and left:
            cuts.append(self._cut(source, left, rng))
            left -= cuts[-1].tokens
        return cuts

    def _cut(self, source: int, most: int, rng: np.random.Generator) -> Cut:
        """At most so many tokens of a checkpoint of this source."""
        ends = self._within[source]
        drawn = int(rng.integers(ends[-1]))
        at = int(np.searchsorted(ends, drawn, side="right"))
        part = self._parts[at]
        row = int(part.rows[drawn - ends[at] + len(part.rows)])
        tokens = min(most, part.plan.num_tokens)
        start = int(rng.integers(part.plan.num_tokens - tokens + 1))
        return Cut(part, row, start, tokens, random_orders(part, start, tokens, rng))


def random_orders(
    part: Part, start: int, tokens: int, rng: np.random.Generator
) -> dict[int, np.ndarray]:
    """Uniform draws for the groups that act on the window; the others would change nothing."""
    if part.shelf.symmetry is None:
        return {}
    groups = part.shelf.symmetry.groups
    return {at: rng.permutation(groups[at].size) for at in part.plan.groups(start, start + tokens)}


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
