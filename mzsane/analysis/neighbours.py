"""The models of a zoo that are nearest to one model."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from mzsane.analysis.kin import Kin, distances_to, least_distances, matched, relative

METRICS = ("cosine", "euclidean")


class Neighbour(NamedTuple):
    """One of the nearest.

    Attributes:
        place: among all checkpoints of the zoo.
        distance: by which it is ranked.
        stored: the same before matching.
    """

    place: int
    distance: float
    stored: float


def by_embedding(
    query: Float[np.ndarray, " latent"],
    embedding: Float[np.ndarray, "rows latent"],
    k: int,
    metric: str = "cosine",
    without: int | None = None,
) -> list[Neighbour]:
    """The `k` checkpoints whose embeddings are nearest.

    Args:
        query: embedding of a model.
        embedding: of all checkpoints of the zoo.
        k: how many; all if there are fewer.
        metric: ``cosine`` is 1 minus the cosine of both as seen from the mean of the zoo, because
            all embeddings share a large part; ``euclidean`` is their distance.
        without: place of a checkpoint that is left out, the query's own; None leaves none out.

    Raises:
        ValueError: an unknown metric.
    """
    if metric not in METRICS:
        raise ValueError(f"metric={metric}: choose from {', '.join(METRICS)}")
    rows, centre = np.asarray(embedding, np.float64), embedding.mean(0, dtype=np.float64)
    if metric == "euclidean":
        distances = np.linalg.norm(rows - query, axis=1)
    else:
        a, b = rows - centre, query - centre
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b)
        distances = np.maximum(1 - a @ b / np.where(norms > 0, norms, 1), 0)
    return _first(np.arange(len(rows)), distances, distances, k, without)


def by_weights(
    query: Float[np.ndarray, " parameters"],
    kin: Kin,
    k: int,
    tried: int = 20,
    without: int | None = None,
) -> list[Neighbour]:
    """The `k` checkpoints that are nearest in weights, over all orders of channels that were tried.

    The query is compared as it is with all, and matched to `tried` of them: those to which its
    sorted weights are nearest, which is where a permuted copy is found, and those that are nearest
    already. What is not tried keeps its distance in canonical form, which can be too large.

    Args:
        query: flat vector of a model, in canonical form where that is known.
        kin: checkpoints of the same kind of network.
        k: how many; all if there are fewer.
        tried: checkpoints that the query is matched to.
        without: place of a checkpoint that is left out, the query's own; None leaves none out.
    """
    stored = distances_to(query, kin)
    distances = stored.copy()
    bound = least_distances([query], kin)[0]
    orders = np.stack([np.argsort(bound, kind="stable"), np.argsort(stored, kind="stable")], 1)
    candidates = [row for row in dict.fromkeys(orders.flatten().tolist())
                  if kin.places[row] != without]  # fmt: skip
    for row in candidates[:tried]:
        other = kin.vector(row)
        moved = matched(query, other, kin.shelf(row))
        distances[row] = min(stored[row], relative(moved, other, kin.spans))
    return _first(kin.places, distances, stored, k, without)


def _first(
    places: np.ndarray, distances: np.ndarray, stored: np.ndarray, k: int, without: int | None
) -> list[Neighbour]:
    order = [row for row in np.argsort(distances, kind="stable") if places[row] != without]
    return [
        Neighbour(int(places[row]), float(distances[row]), float(stored[row])) for row in order[:k]
    ]
