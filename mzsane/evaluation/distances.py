"""Nearest neighbours among many long vectors, and overlap of errors."""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

COLUMNS = 2**18
"""Columns read at once: 700 models then take 0.7 GB, however many weights they have."""


class Nearest(NamedTuple):
    """The nearest reference of each query."""

    distance: Float[Tensor, " queries"]
    index: Int[Tensor, " queries"]


def nearest(
    queries: Float[Tensor, "queries columns"],
    references: np.ndarray,
    rows: Int[np.ndarray, " references"],
    forbidden: Bool[Tensor, "queries references"] | None = None,
) -> Nearest:
    """Euclidean distance to, and place in `rows` of, the nearest reference.

    Neighbours are found by matrix products over blocks of columns, and the distance of the winner
    is then taken by subtraction: so a copy has distance 0, which the products alone would miss by
    rounding. References closer together than that rounding may be confused.

    Args:
        queries: vectors.
        references: matrix ``[models, columns]``, perhaps a memory map, of which each needed element
            is read once.
        rows: which rows of it take part; at least one.
        forbidden: pairs that do not count; a query with no pair left is infinitely far.
    """
    squares = _squared_distances(queries, references, rows)
    if forbidden is not None:
        squares.masked_fill_(forbidden, torch.inf)
    least, index = squares.min(1)
    exact = torch.stack(
        [
            torch.linalg.vector_norm(query.double() - _read(references, row).double())
            for query, row in zip(queries, rows[index.numpy()], strict=True)
        ]
    )
    return Nearest(torch.where(least.isinf(), torch.inf, exact), index)


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
) -> Float[Tensor, "queries references"]:
    """All pairs by |q|² - 2 q·r + |r|², centred, which leaves less to cancel."""
    squares = torch.zeros(len(queries), len(rows), dtype=torch.float64)
    for start in range(0, queries.shape[1], COLUMNS):
        block = slice(start, start + COLUMNS)
        right = _read(references, (rows, block))
        centre = right.mean(0)
        left, right = queries[:, block].to(right) - centre, right - centre
        squares += left.square().sum(1, dtype=torch.float64)[:, None]
        squares += right.square().sum(1, dtype=torch.float64) - 2 * (left @ right.T).double()
    return squares


def _read(references: np.ndarray, where: object) -> Tensor:
    """A part of the matrix in float32, copied, because a memory map is read-only."""
    return torch.from_numpy(np.array(references[where], dtype=np.float32))
