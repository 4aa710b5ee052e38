"""Windows for validation: a fixed list that covers what was held out."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from mzsane.data.dataset import VALIDATION, Windows, random_orders
from mzsane.data.filling import Cut, Part
from mzsane.stores import TokenStore


class _Place(NamedTuple):
    """Tokens of one checkpoint, and the number that names the permutation of their second view."""

    part: Part
    row: int
    start: int
    tokens: int
    number: int


class ValidationWindows(Windows):
    """A fixed list: windows that cover every model of the validation split, each in two views.

    The windows of a model follow each other; the last one is moved back to end with the model. The
    permutation of the second view depends on seed and number alone. Packed, short models of a
    source share windows, in their order, whole; each is seen as it would be by itself.

    Args:
        stores: see `Windows`.
        window: see `Windows`.
        seed: see `Windows`.
        epochs: see `Windows`.
        per_model: so many windows of each checkpoint, evenly spread, for long models; None covers
            them.
        pack: see `Windows`.

    Raises:
        ValueError: as `Windows`; no source has a model in the validation split; `per_model` below
            one.
    """

    def __init__(
        self,
        stores: Mapping[str, TokenStore],
        window: int,
        seed: int,
        epochs: Sequence[int] | None = None,
        per_model: int | None = None,
        pack: bool = False,
    ) -> None:
        if per_model is not None and per_model < 1:
            raise ValueError(
                f"data.validation_windows={per_model}: at least one window of each model is "
                "needed; null covers the models"
            )
        super().__init__(stores, window, seed, "validation", None, epochs, pack)
        places = [
            (part, int(row), start, min(window, part.plan.num_tokens))
            for part in self._parts
            for row in part.rows
            for start in _starts(part.plan.num_tokens, window, per_model)
        ]
        if not places:
            raise ValueError(
                f"{', '.join(self.sources)}: no model falls into the validation split; add models"
            )
        numbered = [_Place(*place, number) for number, place in enumerate(places)]
        self._windows = _packed(numbered, window) if pack else [[place] for place in numbered]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._windows)

    def _draw(self, k: int) -> list[Cut]:
        return [self._cut(place) for place in self._windows[k]]

    def _cut(self, place: _Place) -> Cut:
        rng = np.random.default_rng([self.seed, VALIDATION, place.number])
        part, row, start, tokens, _ = place
        return Cut(part, row, start, tokens, random_orders(part, start, tokens, rng))


def _packed(places: Iterable[_Place], window: int) -> list[list[_Place]]:
    """Places of one source after each other in a window, as many as fit."""
    windows: list[list[_Place]] = []
    for _, group in groupby(places, lambda place: place.part.source):
        left = 0
        for place in group:
            if place.tokens > left:
                windows.append([])
                left = window
            windows[-1].append(place)
            left -= place.tokens
    return windows


def _starts(length: int, window: int, count: int | None) -> list[int]:
    """First tokens of windows that cover the model, or of `count` windows spread over it."""
    last = max(length - window, 0)
    if count is None:
        return [min(start, last) for start in range(0, length, window)]
    return sorted(set(np.linspace(0, last, count).round().astype(int).tolist()))
