"""The models that a sampler starts from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.models import Sane
from mzsane.sampling.windows import Precision, encode
from mzsane.stores import Shelf
from mzsane.tokens import Layout


@dataclass(frozen=True, eq=False)
class Anchors:
    """Models of one architecture and their latents.

    Attributes:
        source: where they come from, for messages.
        layout: of their tokens, and so of what is generated.
        architecture: builds the networks; None where unknown.
        names: of the anchors, ``model@epoch``.
        carried: what is no token of each, with the anchors along the first axis.
        latents: of the whole models.
    """

    source: str
    layout: Layout
    architecture: Architecture | None
    names: tuple[str, ...]
    carried: dict[str, Shaped[Tensor, "anchors ..."]]
    latents: Float[Tensor, "anchors tokens latent"]

    @property
    def layers(self) -> Int[Tensor, " tokens"]:
        """Layer of every token."""
        return self.layout.positions[:, 1]

    def __len__(self) -> int:
        """Number of anchors."""
        return len(self.names)


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
    model: Sane,
    shelf: Shelf,
    rows: Int[np.ndarray, " anchors"],
    window: int,
    halo: int,
    precision: Precision = "float32",
) -> Anchors:
    """Stored models as anchors.

    Args:
        model: the autoencoder.
        shelf: where they are stored.
        rows: theirs, on the shelf.
        window: see `mzsane.sampling.encode`, as `halo` and `precision`.
        halo: of a window.
        precision: of the autoencoder's matrix products.

    Raises:
        ValueError: the autoencoder takes tokens of another size, a weight is no number, or
            `mzsane.sampling.encode` refuses.
    """
    parts = [
        encode_states(
            model,
            shelf.layout,
            shelf.states(some),
            [f"{shelf.models[row]}@{shelf.epochs[row]}" for row in some],
            shelf.architecture,
            shelf.source,
            window=window,
            halo=halo,
            precision=precision,
        )
        for some in np.array_split(rows, -(-len(rows) // _together(shelf.layout)))
    ]
    return _joined(parts)


def encode_states(
    model: Sane,
    layout: Layout,
    states: Mapping[str, Shaped[Tensor, "anchors ..."]],
    names: Sequence[str],
    architecture: Architecture | None,
    source: str,
    window: int,
    halo: int,
    precision: Precision = "float32",
) -> Anchors:
    """Any models of one layout as anchors.

    Args:
        model: the autoencoder.
        layout: of their tokens.
        states: their state dicts, stacked.
        names: theirs.
        architecture: builds their networks; None where unknown.
        source: where they come from, for messages.
        window: see `mzsane.sampling.encode`, as `halo` and `precision`.
        halo: of a window.
        precision: of the autoencoder's matrix products.

    Raises:
        ValueError: as `encode_rows`.
    """
    wanted = model.embed.in_features
    if layout.d_token != wanted:
        raise ValueError(
            f"{source}: its tokens have {layout.d_token} entries, those of the "
            f"autoencoder {wanted}; preprocess the zoo with tokens.size={wanted}"
        )
    tokens = layout.tokenize(states).float()
    for name, own in zip(names, tokens, strict=True):
        # of the extremes, for asking every number takes as much memory again; NaN is both
        if not torch.stack(own.aminmax()).isfinite().all():
            raise ValueError(
                f"{source}: the anchor {name} has weights that are NaN or infinite; leave it out"
            )
    latents = encode(model, tokens, layout.positions, window, halo, precision)
    return Anchors(source, layout, architecture, tuple(names), layout.carry(states), latents)


def _joined(parts: Sequence[Anchors]) -> Anchors:
    """Anchors that were encoded in groups."""
    return replace(
        parts[0],
        names=tuple(name for part in parts for name in part.names),
        carried={
            name: torch.cat([part.carried[name] for part in parts]) for name in parts[0].carried
        },
        latents=torch.cat([part.latents for part in parts]),
    )


def _together(layout: Layout) -> int:
    """Models whose tokens fit into 256 MB."""
    return max(1, 2**26 // (layout.num_tokens * layout.d_token))


def _occurrence(names: np.ndarray) -> Int[np.ndarray, " rows"]:
    """How often each name has been seen before."""
    seen: dict[str, int] = {}
    counts = []
    for name in names.tolist():
        counts.append(seen.get(name, 0))
        seen[name] = counts[-1] + 1
    return np.array(counts, dtype=np.int64)
