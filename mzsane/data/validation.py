"""Windows for validation: a fixed list that covers what was held out."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Int64

from mzsane.data.counter import VALIDATION, names_of
from mzsane.data.dataset import Windows
from mzsane.data.filling import Cut
from mzsane.stores import TokenStore


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
        per_model: at most so many windows of each checkpoint, evenly spread over those that they do
            not cover; None covers all.
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
            raise ValueError(_nobody(stores))
        names = names_of(seed, VALIDATION, np.arange(len(places))).tolist()
        cuts = [Cut(*place, name) for place, name in zip(places, names, strict=True)]
        self._windows = _packed(cuts, window) if pack else [[cut] for cut in cuts]

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._windows)

    def _draw(self, keys: Int64[np.ndarray, " samples"]) -> list[list[Cut]]:
        return [self._windows[k] for k in keys.tolist()]


def _nobody(stores: Mapping[str, TokenStore]) -> str:
    shelves = [shelf for store in stores.values() for shelf in store.architectures]
    models = sum(len(set(shelf.models)) for shelf in shelves)
    return (
        f"{', '.join(stores)}: no model falls into the validation split, into which about one in "
        f"seven falls by its name, and there are {models}; add models, as with zoo.build_models or "
        "further zoos"
    )


def _packed(cuts: Iterable[Cut], window: int) -> list[list[Cut]]:
    """Cuts of one source after each other in a window, as many as fit."""
    windows: list[list[Cut]] = []
    for _, group in groupby(cuts, lambda cut: cut.part.source):
        left = 0
        for cut in group:
            if cut.tokens > left:
                windows.append([])
                left = window
            windows[-1].append(cut)
            left -= cut.tokens
    return windows


def _starts(length: int, window: int, count: int | None) -> list[int]:
    """First tokens of windows that cover the model, or of `count` spread over it if fewer."""
    last = max(length - window, 0)
    if count is None or length <= count * window:
        return [min(start, last) for start in range(0, length, window)]
    return sorted(set(np.linspace(0, last, count).round().astype(int).tolist()))
