"""Nearest neighbours among many long vectors, and overlap of errors."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

COLUMNS = 2**18
"""Columns read at once: 700 models then take 0.7 GB, however many weights they have."""

BINS = 256
"""Features of a tensor in `sorted_features`."""


class Nearest(NamedTuple):
    """The nearest reference of each query."""

    distance: Float[Tensor, " queries"]
    index: Int[Tensor, " queries"]


def nearest(
    queries: Float[Tensor, "queries columns"],
    references: np.ndarray,
    rows: Int[np.ndarray, " references"],
    spans: Sequence[slice],
    forbidden: Bool[Tensor, "queries references"] | None = None,
) -> Nearest:
    """Euclidean distance to, and place in `rows` of, the nearest reference.

    Neighbours are found by matrix products over blocks of columns, and the distance of the winner
    is then taken by subtraction: so a copy has distance 0, which the products alone would miss by
    rounding. References closer together than that rounding may be confused.

    Args:
        queries: vectors; one that is not finite is infinitely far from everything.
        references: matrix ``[models, columns]``, perhaps a memory map.
        rows: which rows of it take part; at least one.
        spans: which columns count.
        forbidden: pairs that do not; a query with no pair left is infinitely far.
    """
    squares = _squared_distances(queries, references, rows, spans)
    if forbidden is not None:
        squares.masked_fill_(forbidden, torch.inf)
    least, index = squares.nan_to_num(nan=torch.inf, posinf=torch.inf).min(1)
    exact = [
        _distance(query, references[row], spans)
        for query, row in zip(queries, rows[index.numpy()], strict=True)
    ]
    distance = torch.tensor(exact, dtype=torch.float64)
    return Nearest(distance.masked_fill(least.isinf(), torch.inf), index)


def sorted_features(
    vectors: Float[Tensor, "models columns"], spans: Sequence[slice]
) -> Float[Tensor, "models features"]:
    r"""What remains of weights when the order within each tensor is forgotten.

    Each tensor is sorted and cut into at most `BINS` bins of neighbours, each worth its mean times
    the root of its size. Sorting minimises the distance of two vectors over all orders of their
    entries, and the means cannot be further apart than the entries: so the distance of features
    bounds, from below, the distance of two models under every permutation of their channels.
    """
    return torch.cat([_bin(vectors[:, span].float().sort(1).values) for span in spans], dim=1)


def mean_distances(
    vectors: Float[Tensor, "models columns"], spans: Sequence[slice]
) -> Float[Tensor, " models"]:
    """Euclidean distance of each vector to the others, on average; NaN for a single one."""
    total = torch.zeros(len(vectors), dtype=torch.float64)
    for one in range(len(vectors)):
        squares = torch.zeros(len(vectors), dtype=torch.float64)
        for block in _blocks(spans):
            gap = vectors[:, block].double() - vectors[one, block].double()
            squares += gap.square().sum(1)
        total[one] = squares.sqrt().sum()
    return total / (len(vectors) - 1)  # 0 / 0 is NaN


def disagreement(predictions: Int[Tensor, "models images"]) -> Float[Tensor, " models"]:
    """Share of images, averaged over the other models, that those see otherwise; NaN for one."""
    differing = [float((predictions != one).double().mean(1).sum()) for one in predictions]
    return torch.tensor(differing, dtype=torch.float64) / (len(predictions) - 1)


def overlap(
    a: Bool[Tensor, "*models images"], b: Bool[Tensor, "*models images"]
) -> Float[Tensor, "*models"]:
    """Intersection over union of two sets; two empty sets are the same set, hence 1."""
    union = (a | b).sum(-1)
    return torch.where(union == 0, 1.0, (a & b).sum(-1) / union)


def _squared_distances(
    queries: Float[Tensor, "queries columns"],
    references: np.ndarray,
    rows: Int[np.ndarray, " references"],
    spans: Sequence[slice],
) -> Float[Tensor, "queries references"]:
    """All pairs by |q|² - 2 q·r + |r|², centred, which leaves less to cancel."""
    squares = torch.zeros(len(queries), len(rows), dtype=torch.float64)
    for block in _blocks(spans):
        right = _float32(references[rows, block])
        centre = right.mean(0)
        left, right = queries[:, block].to(right) - centre, right - centre
        squares += left.square().sum(1, dtype=torch.float64)[:, None]
        squares += right.square().sum(1, dtype=torch.float64) - 2 * (left @ right.T).double()
    return squares


def _distance(
    query: Float[Tensor, " columns"], reference: np.ndarray, spans: Sequence[slice]
) -> float:
    """Of one pair, by subtraction."""
    squares = (
        (query[block].double() - _float32(reference[block])).square().sum()
        for block in _blocks(spans)
    )
    return float(sum(squares)) ** 0.5


def _bin(values: Float[Tensor, "models entries"]) -> Float[Tensor, "models bins"]:
    """Sums over bins of as equal size as possible, divided by the root of that size."""
    entries = values.shape[1]
    bins = min(BINS, entries)
    edges = torch.arange(bins + 1) * entries // bins
    sums = torch.nn.functional.pad(values.double().cumsum(1), (1, 0))[:, edges].diff(dim=1)
    return (sums / edges.diff().sqrt()).float()


def _blocks(spans: Sequence[slice]) -> Iterator[slice]:
    """The spans, cut into pieces of at most `COLUMNS`."""
    for span in spans:
        for start in range(span.start, span.stop, COLUMNS):
            yield slice(start, min(start + COLUMNS, span.stop))


def _float32(values: np.ndarray) -> Tensor:
    """A copy, because a memory map is read-only."""
    return torch.from_numpy(np.array(values, dtype=np.float32))
