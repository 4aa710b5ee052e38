"""The stored models that a sampler starts from."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.models import Sane
from mzsane.sampling.windows import encode
from mzsane.stores import Shelf


@dataclass(frozen=True, eq=False)
class Anchors:
    """Stored models of one architecture and their latents.

    Attributes:
        shelf: where they are stored; decides layout and architecture of what is generated.
        rows: theirs, on the shelf.
        latents: of the whole models.
    """

    shelf: Shelf
    rows: Int[np.ndarray, " anchors"]
    latents: Float[Tensor, "anchors tokens latent"]

    @property
    def layers(self) -> Int[Tensor, " tokens"]:
        """Layer of every token."""
        return self.shelf.layout.positions[:, 1]

    def __len__(self) -> int:
        """Number of anchors."""
        return len(self.rows)


def choose_rows(
    shelf: Shelf, candidates: Int[np.ndarray, " rows"], count: int, rng: np.random.Generator
) -> Int[np.ndarray, " chosen"]:
    """Draw checkpoints, one of every model before a second of any; all if there are fewer.

    Args:
        shelf: to draw from.
        candidates: rows that may be drawn, as `Shelf.select` or `TokenStore.select` gives them:
            of the train split for anchors, so that held-out models stay unseen.
        count: how many, at least 1.
        rng: decides the draw.

    Returns:
        Row numbers, ascending.

    Raises:
        ValueError: there are no candidates, or `count` is below 1.
    """
    if count < 1 or len(candidates) == 0:
        raise ValueError(
            f"{shelf.source}: no anchors left after filtering ({count} asked for, "
            f"{len(candidates)} there); ask for at least one, of more models or epochs"
        )
    shuffled = rng.permutation(candidates)
    by_turn = np.argsort(_occurrence(shelf.models[shuffled]), kind="stable")
    return np.sort(shuffled[by_turn[:count]])


def encode_rows(
    model: Sane, shelf: Shelf, rows: Int[np.ndarray, " anchors"], window: int, halo: int
) -> Anchors:
    """Latents of stored models.

    Raises:
        ValueError: the autoencoder takes tokens of another size, or `encode` refuses.
    """
    wanted = model.embed.in_features
    if shelf.layout.d_token != wanted:
        raise ValueError(
            f"{shelf.source}: its tokens have {shelf.layout.d_token} entries, those of the "
            f"autoencoder {wanted}; preprocess the zoo with tokens.size={wanted}"
        )
    parts = [
        encode(model, _tokens(shelf, some), shelf.layout.positions, window, halo)
        for some in np.array_split(rows, -(-len(rows) // _together(shelf)))
    ]
    return Anchors(shelf, rows, torch.cat(parts))


def _tokens(shelf: Shelf, rows: Int[np.ndarray, " rows"]) -> Float[Tensor, "rows tokens d_token"]:
    return shelf.layout.tokenize(shelf.states(rows)).float()


def _together(shelf: Shelf) -> int:
    """Models whose tokens fit into 256 MB."""
    return max(1, 2**26 // (shelf.layout.num_tokens * shelf.layout.d_token))


def _occurrence(names: np.ndarray) -> Int[np.ndarray, " rows"]:
    """How often each name has been seen before."""
    seen: dict[str, int] = {}
    counts = []
    for name in names.tolist():
        counts.append(seen.get(name, 0))
        seen[name] = counts[-1] + 1
    return np.array(counts, dtype=np.int64)
