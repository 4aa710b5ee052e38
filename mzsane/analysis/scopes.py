"""Which checkpoints are probed together: those of one kind of network, and all of them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from mzsane.analysis.features import Features, below, features_of
from mzsane.analysis.members import Columns, Part

ALL = "all"


class Scope(NamedTuple):
    """Checkpoints that are probed together.

    Attributes:
        name: source and architecture, or `ALL`.
        parts: theirs, by number.
        rows: theirs, among those of all parts.
        remark: what is to be known of their weights; empty if nothing.
    """

    name: str
    parts: tuple[int, ...]
    rows: Bool[np.ndarray, " all"]
    remark: str


class Inputs(NamedTuple):
    """What a zoo offers to probes.

    Attributes:
        parts: by shelf.
        columns: what is known of every checkpoint, parts below each other.
        embedding: of every checkpoint.
    """

    parts: Sequence[Part]
    columns: Columns
    embedding: Float[np.ndarray, "rows latent"]


def scopes_of(inputs: Inputs) -> list[Scope]:
    """A scope for each source and kind of network, and one of everything if they are several.

    Networks whose tensors have the same shapes are of one kind, such as those that differ in their
    nonlinearity; two kinds of one name are told apart by their number of weights.
    """
    groups: dict[tuple[str, str, tuple], list[int]] = {}
    for number, part in enumerate(inputs.parts):
        shelf = part.shelf
        name = shelf.architecture.name if shelf.architecture else "unknown"
        shapes = tuple(shape for _, shape, _ in shelf.layout.shapes)
        groups.setdefault((shelf.source, name, shapes), []).append(number)
    names = [f"{source}/{name}" for source, name, _ in groups]
    scopes = []
    for name, numbers in zip(names, groups.values(), strict=True):
        weights = inputs.parts[numbers[0]].shelf.layout.parameters
        label = name if names.count(name) == 1 else f"{name}-{weights}"
        scopes.append(_scope(label, numbers, inputs.parts))
    return [*scopes, _scope(ALL, range(len(inputs.parts)), inputs.parts)][: _count(scopes)]


def features_in(name: str, scope: Scope, inputs: Inputs) -> Features | None:
    """Features of a scope's checkpoints, or None where columns of networks mean different things.

    Raises:
        ValueError: an unknown name.
    """
    sizes = [len(part.rows) for part in inputs.parts]
    embeddings = np.split(inputs.embedding, np.cumsum(sizes)[:-1])
    return below(
        [features_of(name, inputs.parts[number], embeddings[number]) for number in scope.parts]
    )


def _count(scopes: Sequence[Scope]) -> int:
    """One kind of network is everything there is."""
    return 1 if len(scopes) == 1 else len(scopes) + 1


def _scope(name: str, numbers: Sequence[int], parts: Sequence[Part]) -> Scope:
    chosen = [np.full(len(part.rows), number in numbers) for number, part in enumerate(parts)]
    frames = {parts[number].shelf.frame for number in numbers}
    remark = ""
    if "" in frames:
        remark = "not aligned"
    elif len(frames) > 1:
        remark = f"aligned to {len(frames)} references, so that alignment tells shelves apart"
    return Scope(name, tuple(numbers), np.concatenate(chosen), remark)
