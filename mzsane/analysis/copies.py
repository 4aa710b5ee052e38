"""Copies among the models of a zoo: identical, nearly so, or with their channels in another order.

Near is told by comparison: what lies between two models as a rule is the median, over checkpoints,
of the relative distance to the nearest one of another model; identical ones are passed over, or a
zoo of duplicates would know no near copies. A near copy is closer than a fraction of that.
Checkpoints of one model are alike by nature and count only where they are identical.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from mzsane.analysis.kin import EXACT, Kin


class Copy(NamedTuple):
    """Two checkpoints that are one model, or nearly.

    Attributes:
        place: of the first among all checkpoints of the zoo.
        other: of the second.
        kind: ``identical`` weights in canonical form; ``permuted``, identical in another order of
            channels than the canonical form has; ``near`` and ``near permuted``.
        distance: relative, in the best order that was found.
    """

    place: int
    other: int
    kind: str
    distance: float


def typical_spacing(
    distances: Float[np.ndarray, "rows rows"], models: Shaped[np.ndarray, " rows"]
) -> float:
    """Median distance of checkpoints to the nearest other model that is no copy; NaN without."""
    passed = (models[:, None] == models[None, :]) | (distances < EXACT)
    apart = np.where(passed, np.inf, distances).min(1)
    apart = apart[np.isfinite(apart)]
    return float(np.median(apart)) if len(apart) else float("nan")


def copies(
    kin: Kin,
    stored: Float[np.ndarray, "rows rows"],
    matched: Float[np.ndarray, "rows rows"],
    models: Shaped[np.ndarray, " rows"],
    near: float,
) -> list[Copy]:
    """Pairs of checkpoints that are copies of each other.

    Identical weights are found by their hash, also within a model; all others by distance.

    Args:
        kin: checkpoints of one kind of network.
        stored: their distances in canonical form, see `all_distances`.
        matched: their distances after matching, see `matched_distances`.
        models: name of each row's model, with its source.
        near: fraction of the typical spacing below which a copy is near, 0.1 for example.
    """
    limit = float(np.fmax(near * typical_spacing(stored, models), EXACT))  # NaN counts as none
    foreign = models[:, None] != models[None, :]
    found = dict(_identical(kin))
    for a, b in np.argwhere(np.triu((matched < limit) & foreign, 1)).tolist():
        kind = _kind(float(stored[a, b]), float(matched[a, b]), limit)
        found.setdefault((a, b), (kind, float(matched[a, b])))
    return [
        Copy(int(kin.places[a]), int(kin.places[b]), kind, distance)
        for (a, b), (kind, distance) in sorted(found.items())
    ]


def _kind(stored: float, matched: float, limit: float) -> str:
    if matched < EXACT:
        return "identical" if stored < EXACT else "permuted"
    return "near" if stored < limit else "near permuted"


def _identical(kin: Kin) -> Iterator[tuple[tuple[int, int], tuple[str, float]]]:
    """Each row whose weights an earlier row has, with that row."""
    first: dict[bytes, int] = {}
    for row in range(len(kin.places)):
        vector = kin.vector(row)
        digest = sha256(b"".join(vector[span].tobytes() for span in kin.spans)).digest()
        earlier = first.setdefault(digest, row)
        if earlier != row:
            yield (earlier, row), ("identical", 0.0)
