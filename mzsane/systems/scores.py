"""How well the weights of each source, and of its kinds of layers, are explained."""

from collections.abc import Sequence

from mzsane.losses import MaskedSums, r_squared


def scores(sums: MaskedSums, sources: Sequence[str], kinds: Sequence[str]) -> dict[str, float]:
    """Figures by name, over real weights only.

    `mse/<source>` is the mean squared error, in squared units of weights; `r2/<source>` and
    `r2/<source>/<kind>` are explained variance, at most 1. Kinds that a source lacks have none.

    Args:
        sums: of groups, number `source * len(kinds) + kind`; without kinds, `source`.
        sources: names of the zoo's sources.
        kinds: names of the kinds of layers; may be empty.
    """
    parts = MaskedSums(*(total.view(len(sources), -1) for total in sums))
    whole = MaskedSums(*(total.sum(1) for total in parts))
    found = {}
    errors, explained = (whole.residual / whole.weights).tolist(), r_squared(whole).tolist()
    for name, error, share in zip(sources, errors, explained, strict=True):
        found |= {f"mse/{name}": error, f"r2/{name}": share}
    if kinds:
        explained = r_squared(parts).tolist()
        for source, kind in parts.weights.nonzero().tolist():
            found[f"r2/{sources[source]}/{kinds[kind]}"] = explained[source][kind]
    return found
