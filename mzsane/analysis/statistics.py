"""Layer statistics: the baselines that representations of models are held against.

Three of them are published under one name ("StatNN", "s(W)"); here each has its own. Percentiles
are linear between neighbours: of n sorted values, percentile p is at place (n - 1) p / 100, counted
from 0 (type 7 of Hyndman and Fan 1996).

Two of them differ in their variances alone, by the factor n / (n - 1) of each set of n weights.
That scales a column, and no regressor here sees the scale of a column: linear ones and networks get
them standardised, trees look at the order of values. So ``stats_nfn`` and ``stats_unterthiner``
give equal numbers by the same regressor; as published they differ by theirs, ``network`` and
``boosting`` or ``logit_linear``.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mzsane.analysis.members import Part
from mzsane.tokens import Layout

RUNNING = ("running_mean", "running_var")
"""Of BatchNorm: measured on data, not trained, and in none of the published statistics."""
READ = 2**24  # weights that are described at once


class Recipe(NamedTuple):
    """What is measured of each set of weights: mean, variance, percentiles.

    Attributes:
        percentiles: in percent.
        unbiased: variance divides by n - 1 instead of n; that of a single value is then 0.
        together: whether weights and biases of a layer are one set, or each its own.
    """

    percentiles: tuple[float, ...]
    unbiased: bool
    together: bool


RECIPES = {
    # Unterthiner et al. 2020, arXiv:2002.11448
    "stats_unterthiner": Recipe((0, 25, 50, 75, 100), unbiased=False, together=False),
    # Zhou et al. 2023, arXiv:2302.14040
    "stats_nfn": Recipe((0, 25, 50, 75, 100), unbiased=True, together=False),
    # Schürholt et al. 2021, arXiv:2110.15288; there the padding of tokens counts, here it does not
    "stats_sane": Recipe((1, 25, 50, 75, 99), unbiased=False, together=True),
}


def layer_statistics(part: Part, recipe: Recipe) -> Float[np.ndarray, "rows numbers"]:
    """Statistics of each layer of stored models, side by side, in the order of the state dict.

    They do not depend on the order of a layer's weights, so not on alignment either.
    """
    return np.concatenate([_of_rows(part, rows, recipe) for rows in _blocks(part)])


def describe(
    values: Float[np.ndarray, "rows values"], recipe: Recipe
) -> Float[np.ndarray, "rows numbers"]:
    """Mean, variance and percentiles of each row, in float64."""
    values = np.asarray(values, np.float64)
    ddof = 1 if recipe.unbiased and values.shape[1] > 1 else 0
    return np.column_stack(
        [
            values.mean(1),
            values.var(1, ddof=ddof),
            *np.percentile(values, recipe.percentiles, axis=1, method="linear"),
        ]
    )


def statistic_names(layout: Layout, recipe: Recipe) -> tuple[str, ...]:
    """Names of the columns of `layer_statistics`, such as ``3 bias 1-d: variance``.

    A set of weights is known by its place among all sets and by what it consists of, not by the
    names of modules, which dropout shifts, nor by its size, on which no statistic depends.
    """
    dims = {name: len(shape) for name, shape, _ in layout.shapes}
    measured = ("mean", "variance", *(f"percentile {p}" for p in recipe.percentiles))
    return tuple(
        f"{place} {' + '.join(f'{leaf(name)} {dims[name]}-d' for name in names)}: {what}"
        for place, names in enumerate(_tensor_sets(layout, recipe.together))
        for what in measured
    )


def leaf(name: str) -> str:
    """The name of a tensor within its module."""
    return name.rpartition(".")[2]


def weight_sets(layout: Layout, together: bool) -> list[list[slice]]:
    """Where in a flat vector each set of weights lies that is described by itself.

    Args:
        layout: of the vector.
        together: a set for each layer of tokens, or for each tensor, tokens or not.
    """
    sizes = _sizes(layout)
    return [
        [slice(layout.offsets[name], layout.offsets[name] + sizes[name]) for name in names]
        for names in _tensor_sets(layout, together)
    ]


def _tensor_sets(layout: Layout, together: bool) -> list[list[str]]:
    sizes = _sizes(layout)
    trained = [name for name in layout.offsets if leaf(name) not in RUNNING and sizes[name]]
    if not together:
        return [[name] for name in trained]
    layers = ([piece.name for piece in layer.pieces] for layer in layout.layers)
    sets = ([name for name in names if name in trained] for names in layers)
    return [names for names in sets if names]


def _sizes(layout: Layout) -> dict[str, int]:
    return {name: int(np.prod(shape)) for name, shape, _ in layout.shapes}


def _of_rows(
    part: Part, rows: Int[np.ndarray, " rows"], recipe: Recipe
) -> Float[np.ndarray, "rows numbers"]:
    weights = np.asarray(part.shelf.weights[rows], np.float32)
    sets = weight_sets(part.shelf.layout, recipe.together)
    columns = (np.concatenate([weights[:, span] for span in spans], 1) for spans in sets)
    return np.concatenate([describe(values, recipe) for values in columns], 1)


def _blocks(part: Part) -> Iterator[Int[np.ndarray, " rows"]]:
    size = max(1, READ // max(1, part.shelf.layout.parameters))
    for start in range(0, len(part.rows), size):
        yield part.rows[start : start + size]
