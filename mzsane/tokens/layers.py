"""Which tensors of a state dict form a layer: the published channel convention."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mzsane.tokens.entries import Entry, is_floating

RUNNING_STATISTICS = ("running_mean", "running_var")


class Piece(NamedTuple):
    """One tensor's share of a layer: `columns` of each of the layer's rows."""

    name: str
    columns: int


class Matrix(NamedTuple):
    """Tensors side by side: `rows` output channels, each the concatenation of its pieces."""

    pieces: tuple[Piece, ...]
    rows: int

    @property
    def columns(self) -> int:
        """Weights in a row."""
        return sum(piece.columns for piece in self.pieces)


class Layer(NamedTuple):
    """A matrix and its place in the token sequence; the tokens of a row follow each other."""

    pieces: tuple[Piece, ...]
    rows: int
    columns: int
    first_token: int
    tokens_per_row: int

    @property
    def num_tokens(self) -> int:
        """Tokens of all rows."""
        return self.rows * self.tokens_per_row


def channel_matrices(entries: Sequence[Entry], batchnorm: str) -> tuple[Matrix, ...]:
    """The layers of a state dict, in its order, as published with SANE (arXiv:2406.09997).

    Each tensor with ``weight`` in its name is one matrix ``[C_out, rest]`` whose last column is its
    bias, where there is one. The convention drops all else; here every other floating-point
    tensor (class token, position embedding, layer scale, bare bias) is a matrix of its own, and
    only the tensors named by `carried_batchnorm` are left out.

    Args:
        entries: every tensor of the state dict.
        batchnorm: see `carried_batchnorm`.
    """
    carried = carried_batchnorm([name for name, _, _ in entries], batchnorm)
    shapes = {n: shape for n, shape, dtype in entries if is_floating(dtype) and n not in carried}
    biases = _biases(shapes)
    claimed = set(biases.values())
    return tuple(
        _matrix(name, shape, biases.get(name))
        for name, shape in shapes.items()
        if name not in claimed
    )


def carried_batchnorm(names: Iterable[str], batchnorm: str) -> frozenset[str]:
    """BatchNorm's tensors that travel beside the tokens.

    A BatchNorm layer is known by its running mean and variance, not by its name.

    Args:
        names: all names of the state dict.
        batchnorm: ``rows`` carries the running statistics, ``ignore`` also scale and shift.
    """
    present = frozenset(names)
    modules = {name.removesuffix("running_mean") for name in present if _is_mean(name)}
    modules = {module for module in modules if module + "running_var" in present}
    parts = RUNNING_STATISTICS if batchnorm == "rows" else (*RUNNING_STATISTICS, "weight", "bias")
    return present & {module + part for module in modules for part in parts}


def place(matrices: Iterable[Matrix], size: int) -> tuple[Layer, ...]:
    """Lay matrices out one after the other, each row cut into tokens of `size` entries."""
    layers, first = [], 0
    for matrix in matrices:
        per_row = -(-matrix.columns // size)
        layers.append(Layer(matrix.pieces, matrix.rows, matrix.columns, first, per_row))
        first += layers[-1].num_tokens
    return tuple(layers)


def _is_mean(name: str) -> bool:
    return name.rpartition(".")[2] == "running_mean"


def _biases(shapes: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """Weight name to bias name; of two weights that fit one bias, the first has it."""
    pairs: dict[str, str] = {}
    for name, shape in shapes.items():
        bias = name.replace("weight", "bias")
        fits = bias != name and shapes.get(bias) == (shape[:1] or (1,))
        if fits and bias not in pairs.values():
            pairs[name] = bias
    return pairs


def _matrix(name: str, shape: tuple[int, ...], bias: str | None) -> Matrix:
    rows, columns = _rows_columns(shape) if "weight" in name else _bare_rows_columns(shape)
    pieces = (Piece(name, columns), *([Piece(bias, 1)] if bias else []))
    return Matrix(pieces, rows)


def _rows_columns(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[0], math.prod(shape[1:])) if shape else (1, 1)


def _bare_rows_columns(shape: tuple[int, ...]) -> tuple[int, int]:
    """Leading axes of length one hold no channels; a vector is one row, not one row per entry."""
    while shape[:1] == (1,):
        shape = shape[1:]
    return (1, math.prod(shape)) if len(shape) < 2 else _rows_columns(shape)
