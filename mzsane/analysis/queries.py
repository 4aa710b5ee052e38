"""The model that neighbours are searched for: one of the zoo, or any other."""

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mzsane.analysis.kin import Kin, least_distances, matched, relative
from mzsane.analysis.members import Columns
from mzsane.analysis.streaming import Encoder
from mzsane.sampling import encode
from mzsane.tokens import Layout


class Query(NamedTuple):
    """A model and what it is compared by.

    Attributes:
        name: as the user gave it.
        embedding: its own.
        vector: flat weights, in canonical form; None where the zoo has no such networks.
        kin: checkpoints of the same kind of network; None likewise.
        place: its own among all checkpoints of the zoo; None if it is none of them.
    """

    name: str
    embedding: Float[np.ndarray, " latent"]
    vector: Float[np.ndarray, " parameters"] | None
    kin: Kin | None
    place: int | None


def stored_query(
    name: str,
    columns: Columns,
    embedding: Float[np.ndarray, "rows latent"],
    kins: Sequence[Kin],
) -> Query:
    """A checkpoint of the zoo.

    Args:
        name: ``MODEL@EPOCH`` or ``SOURCE:MODEL@EPOCH``; without an epoch the last one.
        columns: what is known of all checkpoints.
        embedding: theirs.
        kins: the zoo, by kind of network.

    Raises:
        ValueError: there is no such checkpoint, or several sources have one.
    """
    place = place_of(name, columns)
    (kin,) = (kin for kin in kins if place in kin.places)
    vector = kin.vector(int(np.flatnonzero(kin.places == place)[0]))
    return Query(name, embedding[place], vector, kin, place)


def loose_query(
    name: str,
    state: Mapping[str, Tensor],
    layout: Layout,
    encoder: Encoder,
    kins: Sequence[Kin],
) -> Query:
    """A checkpoint that is not of the zoo, brought into the zoo's canonical form if it has one.

    Args:
        name: for tables.
        state: its weights.
        layout: of its tokens.
        encoder: what embeds it.
        kins: the zoo, by kind of network.

    Raises:
        ValueError: a weight is NaN or infinite, or the autoencoder takes other tokens.
    """
    vector = layout.flatten(state).float().numpy()
    if not np.isfinite(vector).all():
        raise ValueError(f"{name}: has weights that are NaN or infinite; give another query")
    kin = next((kin for kin in kins if _shapes(kin.parts[0].shelf.layout) == _shapes(layout)), None)
    if kin is not None:
        vector = _canonical(vector, kin)
    tokens = layout.tokenize(layout.unflatten(torch.from_numpy(vector)))[None].float()
    latents = encode(encoder.model, tokens, layout.positions, encoder.window, encoder.halo)
    return Query(name, latents[0].mean(0).numpy(), vector if kin else None, kin, None)


def place_of(name: str, columns: Columns) -> int:
    """Place of a checkpoint among all of the zoo, by its name as `stored_query` takes it.

    Raises:
        ValueError: there is no such checkpoint, or several sources have one.
    """
    source, _, rest = name.rpartition(":")
    model, at, epoch = rest.rpartition("@")
    if not at:
        model, epoch = rest, ""
    found = columns["model"] == model
    found &= (columns["source"] == source) if source else True
    if len(sources := set(columns["source"][found])) > 1:
        raise ValueError(
            f"query={name}: several sources have it; say which, {' or '.join(sorted(sources))}"
            f" (query={sorted(sources)[0]}:{rest})"
        )
    if found.any() and not epoch:
        epoch = str(columns["epoch"][found].max())
    found &= columns["epoch"].astype(str) == epoch
    if not found.any():
        raise ValueError(
            f"query={name}: neither a file nor a checkpoint of the zoo{_like(name, columns)}"
        )
    return int(np.flatnonzero(found)[0])


def _like(name: str, columns: Columns) -> str:
    """Checkpoints that are called nearly so, or else examples."""
    known = [f"{m}@{e}" for m, e in zip(columns["model"], columns["epoch"], strict=True)]
    close = difflib.get_close_matches(name.rpartition(":")[2], known, n=3)
    told = "did you mean" if close else "there is, for example,"
    return f"; {told} {', '.join(close or known[:3])}"


def _shapes(layout: Layout) -> list[tuple]:
    return [(shape, dtype) for _, shape, dtype in layout.shapes]


def _canonical(
    vector: Float[np.ndarray, " parameters"], kin: Kin
) -> Float[np.ndarray, " parameters"]:
    """A vector in the order of channels that the zoo's models have, as far as it can be known.

    A zoo can be aligned to several references, one for each nonlinearity for example, which tensors
    do not tell. So the vector is matched to each, and to the model whose sorted weights are nearest
    to its own; it is left where it came nearest.
    """
    targets = [int(least_distances([vector], kin)[0].argmin())]
    first = 0
    for part in kin.parts:
        targets += [
            first + own for own in np.flatnonzero(part.rows == part.shelf.reference).tolist()
        ]
        first += len(part.rows)
    tries = [(matched(vector, kin.vector(row), kin.shelf(row)), kin.vector(row)) for row in targets]
    return min(tries, key=lambda each: relative(*each, kin.spans))[0]
