"""Which checkpoints are of one training, and in which order, guessed from weights alone.

Training moves weights by little compared with how far apart trained models are. So checkpoints are
linked where their relative distance is below a limit (1 is nothing in common), what is linked
through others is one trajectory, and within it checkpoints are put in a chain: from one of the two
that are farthest apart, by distance. The end with the smaller norm is taken for the beginning,
because weights grow as a rule, unless they are decayed. A chain is called monotone if the order by
distance from its other end is the reverse, as it is along a path that moves on; a branch is not.
"""

from collections.abc import Sequence
from typing import NamedTuple, SupportsInt

import numpy as np
from jaxtyping import Float, Int, Shaped


class Lineage(NamedTuple):
    """A guess for every row.

    Attributes:
        trajectory: number of the training that it belongs to.
        step: its place in that, from 0.
        parent: row of the checkpoint before it; -1 for the first.
        monotone: whether the order in its trajectory is the same from both ends.
    """

    trajectory: Int[np.ndarray, " rows"]
    step: Int[np.ndarray, " rows"]
    parent: Int[np.ndarray, " rows"]
    monotone: Shaped[np.ndarray, " rows"]


class Quality(NamedTuple):
    """How well a guess agrees with what the zoo says, in shares of one.

    Attributes:
        precision: of the pairs in one trajectory, those of one model; NaN without pairs.
        recall: of the pairs of one model, those in one trajectory; NaN without pairs.
        neighbours: of the pairs of successive checkpoints, those that are successive in the guess,
            in either direction.
        parents: of the checkpoints that have an earlier one, those whose guessed parent is the
            last of these.
    """

    precision: float
    recall: float
    neighbours: float
    parents: float


def guess_lineage(
    distances: Float[np.ndarray, "rows rows"], norms: Float[np.ndarray, " rows"], related: float
) -> Lineage:
    """Trajectories of checkpoints and their order.

    Args:
        distances: relative, see `mzsane.analysis.kin.matched_distances`: epochs of one training can
            have their channels in other orders, even in canonical form.
        norms: of the weights.
        related: distance below which two checkpoints are linked.
    """
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(distances < related, directed=False)
    step, parent = np.zeros(len(norms), int), np.full(len(norms), -1)
    monotone = np.ones(len(norms), bool)
    for label in range(labels.max(initial=-1) + 1):
        members = np.flatnonzero(labels == label)
        order, even = _chain(distances[np.ix_(members, members)], norms[members])
        chain = members[order]
        step[chain], parent[chain[1:]], monotone[chain] = np.arange(len(chain)), chain[:-1], even
    return Lineage(labels.astype(int), step, parent, monotone)


def quality(
    guess: Lineage, models: Shaped[np.ndarray, " rows"], epochs: Int[np.ndarray, " rows"]
) -> Quality:
    """Compare a guess with the names and epochs of the checkpoints."""
    apart = ~np.eye(len(models), dtype=bool)
    true = (models[:, None] == models[None, :]) & apart
    said = (guess.trajectory[:, None] == guess.trajectory[None, :]) & apart
    both = (true & said).sum()
    parents = _true_parents(models, epochs)
    known = np.flatnonzero(parents >= 0)
    right = guess.parent[known] == parents[known]
    reverse = guess.parent[parents[known]] == known
    return Quality(
        _share(both, said.sum()),
        _share(both, true.sum()),
        _share((right | reverse).sum(), len(known)),
        _share(right.sum(), len(known)),
    )


def _chain(
    distances: Float[np.ndarray, "rows rows"], norms: Float[np.ndarray, " rows"]
) -> tuple[Sequence[int], bool]:
    """Rows from beginning to end, and whether both ends agree on the order."""
    one, other = np.unravel_index(distances.argmax(), distances.shape)
    first, last = (one, other) if norms[one] <= norms[other] else (other, one)
    ahead, back = (np.argsort(distances[end], kind="stable").tolist() for end in (first, last))
    order = [int(first), *(row for row in ahead if row != first)]
    even = order[::-1] == [int(last), *(row for row in back if row != last)]
    if len(order) > 2 and distances[order[0], order[1]] < distances[order[-2], order[-1]]:
        order.reverse()
    return order, even


def _true_parents(
    models: Shaped[np.ndarray, " rows"], epochs: Int[np.ndarray, " rows"]
) -> Int[np.ndarray, " rows"]:
    """Row of the checkpoint before each, of the same model; -1 for its first."""
    order = np.lexsort((epochs, models))
    parents = np.full(len(models), -1)
    follows = models[order[1:]] == models[order[:-1]]
    parents[order[1:][follows]] = order[:-1][follows]
    return parents


def _share(part: SupportsInt, whole: SupportsInt) -> float:
    return int(part) / int(whole) if int(whole) else float("nan")
