"""How often each source is drawn."""

from collections.abc import Mapping
from difflib import get_close_matches

import numpy as np
from jaxtyping import Float64

MIXES = ("proportional", "uniform", "temperature")


def mixture(
    counts: Mapping[str, int], mix: str | Mapping[str, float], temperature: float = 2.0
) -> Float64[np.ndarray, " sources"]:
    r"""Probability of each source, in the order of `counts`.

    Args:
        counts: checkpoints of each source.
        mix: ``proportional`` to the counts, ``uniform``, or ``temperature``:
            :math:`p_i \propto n_i^{1/T}`, which lies between the two (arXiv:1907.05019); or a
            weight for each source, in any unit.
        temperature: :math:`T \ge 1`; 1 is proportional, infinity uniform.

    Raises:
        ValueError: an unknown mix or source, a source without weight, a weight that is negative or
            not finite, a temperature below 1.
    """
    if not temperature >= 1:  # NaN is none, either
        raise ValueError(
            f"data.temperature={temperature}: at least 1; 1 draws sources in proportion to their "
            "checkpoints, larger ones more evenly"
        )
    if isinstance(mix, Mapping):
        weights = _explicit(counts, mix)
    elif mix in MIXES:
        powers = {"proportional": 1.0, "uniform": 0.0, "temperature": 1 / temperature}
        weights = np.array(list(counts.values()), np.float64) ** powers[mix]
    else:
        raise ValueError(f"mix {mix!r}: choose from {', '.join(MIXES)}, or give {{source: weight}}")
    return weights / weights.sum()


def _explicit(
    counts: Mapping[str, int], mix: Mapping[str, float]
) -> Float64[np.ndarray, " sources"]:
    for name in mix:
        if name not in counts:
            close = get_close_matches(name, counts, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(counts)}"
            raise ValueError(f"mix: no source is called {name!r}{hint}")
    if missing := [name for name in counts if name not in mix]:
        raise ValueError(f"mix: no weight for {', '.join(missing)}; give 0 to leave a source out")
    weights = np.array([mix[name] for name in counts], np.float64)
    if not ((weights >= 0) & np.isfinite(weights)).all() or weights.sum() == 0:
        raise ValueError(f"mix: weights {dict(mix)} must be finite, not negative, nor all zero")
    return weights
