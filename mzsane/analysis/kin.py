r"""Checkpoints whose weights can be compared, and how far they are apart.

Distances are relative: :math:`|a - b| / \sqrt{|a|^2 + |b|^2}` over all trained weights, 0 for
copies, 1 for vectors that have nothing in common, whatever the size of the network.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from mzsane.analysis.members import Part
from mzsane.analysis.statistics import weight_sets
from mzsane.evaluation.distances import sorted_features
from mzsane.progress import Progress
from mzsane.stores import Shelf
from mzsane.symmetry import Matcher

EXACT = 1e-5  # relative distance that rounding to float32 leaves, with room
READ = 2**24  # weights that are held at once
MOST = 10_000  # checkpoints of which all pairs are compared; their distances take 0.8 GB


class Kin(NamedTuple):
    """Checkpoints of one kind of network, whatever their source.

    Attributes:
        parts: theirs; tensors of all have the same shapes, though perhaps other names.
        places: of their rows, part after part, among all checkpoints of the zoo.
    """

    parts: tuple[Part, ...]
    places: Int[np.ndarray, " rows"]

    @property
    def spans(self) -> list[slice]:
        """Columns of trained weights in a flat vector."""
        sets = weight_sets(self.parts[0].shelf.layout, together=False)
        return [span for spans in sets for span in spans]

    def shelf(self, row: int) -> Shelf:
        """Where one of the rows is stored."""
        return self._at(row)[0].shelf

    def vector(self, row: int) -> Float[np.ndarray, " parameters"]:
        """One of the rows: all floating-point values, trained or not."""
        part, own = self._at(row)
        return np.asarray(part.shelf.weights[part.rows[own]], np.float32)

    def blocks(self) -> Iterator[Float[np.ndarray, "rows columns"]]:
        """Trained weights of all rows, some columns at a time."""
        width = max(1, READ // len(self.places))
        for span in self.spans:
            for start in range(span.start, span.stop, width):
                columns = slice(start, min(start + width, span.stop))
                pieces = (part.shelf.weights[part.rows, columns] for part in self.parts)
                yield np.concatenate([np.asarray(piece, np.float64) for piece in pieces])

    def _at(self, row: int) -> tuple[Part, int]:
        for part in self.parts:
            if row < len(part.rows):
                return part, row
            row -= len(part.rows)
        raise IndexError(row)


def kin_of(parts: Sequence[Part]) -> list[Kin]:
    """All checkpoints of a zoo, by the shapes of their tensors."""
    starts = np.cumsum([0, *(len(part.rows) for part in parts)])
    groups: dict[tuple, list[int]] = {}
    for number, part in enumerate(parts):
        shapes = tuple((shape, dtype) for _, shape, dtype in part.shelf.layout.shapes)
        groups.setdefault(shapes, []).append(number)
    return [
        Kin(
            tuple(parts[number] for number in numbers),
            np.concatenate([np.arange(starts[n], starts[n + 1]) for n in numbers]),
        )
        for numbers in groups.values()
    ]


def all_distances(kin: Kin) -> Float[np.ndarray, "rows rows"]:
    """Relative distance of all pairs, as they are stored.

    Raises:
        ValueError: they are too many.
    """
    if len(kin.places) > MOST:
        raise ValueError(
            f"{len(kin.places)} checkpoints of one kind: pairs of {MOST} at most are compared; "
            "take fewer (zoo.epochs, zoo.filters), or set copies=false and lineage=false"
        )
    gram = np.zeros((len(kin.places), len(kin.places)))
    for block in kin.blocks():
        gram += block @ block.T
    squares = np.diag(gram)
    sums = squares[:, None] + squares[None, :]
    return np.sqrt(np.maximum(sums - 2 * gram, 0) / np.where(sums > 0, sums, 1))


def norms(kin: Kin) -> Float[np.ndarray, " rows"]:
    """Euclidean norm of the trained weights of each row."""
    return np.sqrt(sum(np.square(block).sum(1) for block in kin.blocks()))


def matched_distances(
    kin: Kin,
    stored: Float[np.ndarray, "rows rows"],
    models: Shaped[np.ndarray, " rows"],
    tried: int,
    progress: Progress,
) -> Float[np.ndarray, "rows rows"]:
    """Relative distances, each the smaller of that in canonical form and after matching the pair.

    Canonical forms can differ between models that are one but for the order of their channels, and
    between epochs of a training: descent stops at another optimum. So each checkpoint is matched to
    the `tried` others whose sorted weights are nearest to its own, and to the nearest of another
    model; an identical copy in another order always is among them. All other pairs keep what they
    have in canonical form.

    Args:
        kin: checkpoints of one kind of network.
        stored: their distances as they are stored, see `all_distances`.
        models: name of each row's model.
        tried: how many each is matched to; 0 matches nothing.
        progress: told how many checkpoints are done.
    """
    rows, distances = range(len(kin.places)), stored.copy()
    bound = least_distances([kin.vector(row) for row in rows], kin) if tried else None
    for row in rows if tried else ():
        progress("matching", row, len(rows))
        order = [other for other in np.argsort(bound[row], kind="stable").tolist() if other != row]
        foreign = [other for other in order if models[other] != models[row]]
        for other in dict.fromkeys([*order[:tried], *foreign[:1]]):
            if distances[row, other] > EXACT:
                target = kin.vector(other)
                moved = matched(kin.vector(row), target, kin.shelf(other))
                found = min(distances[row, other], relative(moved, target, kin.spans))
                distances[row, other] = distances[other, row] = found
    progress("matching", len(rows), len(rows))
    return distances


def distances_to(vector: Float[np.ndarray, " parameters"], kin: Kin) -> Float[np.ndarray, " rows"]:
    """Relative distance of each stored row to one vector."""
    rows = range(len(kin.places))
    return np.array([relative(vector, kin.vector(row), kin.spans) for row in rows])


def relative(
    a: Float[np.ndarray, " parameters"],
    b: Float[np.ndarray, " parameters"],
    spans: Sequence[slice],
) -> float:
    """Relative distance of two vectors over some of their columns."""
    apart = sum(float(np.square(a[s] - b[s], dtype=np.float64).sum()) for s in spans)
    sizes = sum(float(np.square(v[s], dtype=np.float64).sum()) for s in spans for v in (a, b))
    return (apart / sizes) ** 0.5 if sizes else 0.0


def matched(
    vector: Float[np.ndarray, " parameters"],
    other: Float[np.ndarray, " parameters"],
    shelf: Shelf,
) -> Float[np.ndarray, " parameters"]:
    """A vector with its channels in the order that weight matching finds nearest to another.

    Args:
        vector: of a model.
        other: of another model of this kind.
        shelf: of one of them, whose symmetry is taken; where it is unknown nothing moves.
    """
    if shelf.symmetry is None or not shelf.symmetry.groups:
        return vector
    state, target = (shelf.layout.unflatten(torch.from_numpy(v.copy())) for v in (vector, other))
    matcher = Matcher(target, shelf.symmetry)
    moved = shelf.symmetry.apply(state, matcher.match(state))
    return shelf.layout.flatten(moved).float().numpy()


def least_distances(
    queries: Sequence[Float[np.ndarray, " parameters"]], kin: Kin
) -> Float[np.ndarray, "queries rows"]:
    """A lower bound of the relative distance over every order of channels, exact for copies.

    It compares sorted weights, see `mzsane.evaluation.distances.sorted_features`.
    """
    spans = kin.spans

    def features(vector: np.ndarray) -> torch.Tensor:
        return sorted_features(torch.from_numpy(vector.copy())[None], spans).double()

    def square(vector: np.ndarray) -> float:
        return sum(float(np.square(vector[s], dtype=np.float64).sum()) for s in spans)

    stored = range(len(kin.places))
    theirs = torch.cat([features(kin.vector(row)) for row in stored])
    sizes = np.array([square(kin.vector(row)) for row in stored])
    asked = torch.cat([features(vector) for vector in queries])
    apart = torch.cdist(asked, theirs, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    sums = np.array([square(vector) for vector in queries])[:, None] + sizes
    return apart / np.sqrt(np.where(sums > 0, sums, 1))
