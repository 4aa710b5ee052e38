"""What properties of models are predicted from: embeddings, raw weights, layer statistics."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from mzsane.analysis.members import Part
from mzsane.analysis.statistics import RECIPES, layer_statistics, leaf, statistic_names

FEATURES = ("embedding", "weights", *RECIPES)
COLUMNS = 2**16  # of weights that are read at once
NEGLIGIBLE = 1e-10  # share of the largest eigenvalue below which a direction is rounding

Blocks = Callable[[], Iterator[Float[np.ndarray, "rows columns"]]]


class Features(NamedTuple):
    """A matrix with a row for each checkpoint, given a few columns at a time.

    Attributes:
        name: one of `FEATURES`.
        meaning: names of the columns or, of weights, of the tensors that they come from, with
            shapes; rows may stand below each other where these are equal.
        columns: how many.
        blocks: the columns, in order, as often as it is called.
    """

    name: str
    meaning: tuple[str, ...]
    columns: int
    blocks: Blocks

    def values(self) -> Float[np.ndarray, "rows columns"]:
        """All columns at once."""
        return np.concatenate(list(self.blocks()), axis=1)


def features_of(name: str, part: Part, embedding: Float[np.ndarray, "rows latent"]) -> Features:
    """One kind of features of stored models.

    Args:
        name: one of `FEATURES`; ``weights`` are flat vectors in canonical form.
        part: the models.
        embedding: theirs.

    Raises:
        ValueError: an unknown name.
    """
    if name == "embedding":
        names = tuple(f"latent {number}" for number in range(embedding.shape[1]))
        return _held(name, names, embedding)
    if name == "weights":
        layout = part.shelf.layout
        names = tuple(f"{leaf(tensor)} {shape}" for tensor, shape, _ in layout.shapes)
        return Features(name, names, layout.parameters, lambda: _weights(part))
    if name not in RECIPES:
        raise ValueError(f"features={name}: choose from {', '.join(FEATURES)}")
    recipe = RECIPES[name]
    return _held(name, statistic_names(part.shelf.layout, recipe), layer_statistics(part, recipe))


def below(features: Sequence[Features]) -> Features | None:
    """Rows of several parts below each other; None if their columns do not mean the same."""
    first = features[0]
    if any(one.meaning != first.meaning for one in features):
        return None

    def blocks() -> Iterator[np.ndarray]:
        for pieces in zip(*(one.blocks() for one in features), strict=True):
            yield np.concatenate(pieces)

    return first._replace(blocks=blocks)


def coordinates(
    features: Features, rows: Bool[np.ndarray, " all"], train: Bool[np.ndarray, " rows"]
) -> Float[np.ndarray, "rows dims"]:
    r"""What a linear model with a quadratic penalty can see of standardised features.

    Columns get mean 0 and standard deviation 1 on the training rows; one that is constant there is
    only centred. With more columns than training rows the weights of such a model lie in the span
    of these rows, so that an orthonormal basis of it holds all there is (the dual form):
    :math:`K V \Lambda^{-1/2}` for the Gram matrix :math:`K` of all with the training rows, whose
    training part is :math:`V \Lambda V^T`. Inner products with training rows, hence the solution
    for every penalty, are those of the full matrix; only a block of columns is held at a time.

    Args:
        features: of all checkpoints.
        rows: which of them take part.
        train: which of those may be learned from.
    """
    if features.columns <= train.sum():
        return _standardised(features.values()[rows], train)
    gram = np.zeros((rows.sum(), train.sum()))
    for block in features.blocks():
        scaled = _standardised(block[rows], train)
        gram += scaled @ scaled[train].T
    values, vectors = np.linalg.eigh(gram[train])
    kept = values > NEGLIGIBLE * max(values[-1], 0)
    return gram @ (vectors[:, kept] / np.sqrt(values[kept]))


def _held(
    name: str, meaning: tuple[str, ...], values: Float[np.ndarray, "rows columns"]
) -> Features:
    return Features(name, meaning, values.shape[1], lambda: iter([values]))


def _weights(part: Part) -> Iterator[Float[np.ndarray, "rows columns"]]:
    for start in range(0, part.shelf.layout.parameters, COLUMNS):
        columns = slice(start, start + COLUMNS)
        yield np.asarray(part.shelf.weights[part.rows, columns], np.float32)


def _standardised(
    values: Float[np.ndarray, "rows columns"], train: Bool[np.ndarray, " rows"]
) -> Float[np.ndarray, "rows columns"]:
    values = np.asarray(values, np.float64)
    mean, std = values[train].mean(0), values[train].std(0)
    return (values - mean) / np.where(std > 0, std, 1.0)
