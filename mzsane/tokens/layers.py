"""Which tensors of a state dict form a layer, and where its tokens lie."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from mzsane.tokens.entries import Entry, is_floating

SCHEMES = ("channel", "dense")
RUNNING_STATISTICS = ("running_mean", "running_var")
AFFINE = ("weight", "bias")
CARRIED = {"rows": RUNNING_STATISTICS, "grouped": (), "ignore": (*AFFINE, *RUNNING_STATISTICS)}


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
    """A matrix and its place in the token sequence.

    Read as one vector, the layer's `num_tokens` tokens hold row i from ``i * stride`` on;
    everything that is not one of a row's `columns` is padding.
    """

    pieces: tuple[Piece, ...]
    rows: int
    columns: int
    stride: int
    first_token: int
    num_tokens: int
    tokens_per_row: int  # tokens of one row index in `Layout.positions`

    @property
    def num_indices(self) -> int:
        """Row indices in `Layout.positions`: one per row, in a dense layer one per token."""
        return self.num_tokens // max(self.tokens_per_row, 1)


def channel_matrices(entries: Sequence[Entry], batchnorm: str) -> tuple[Matrix, ...]:
    """The layers of a state dict, in its order, as published with SANE (arXiv:2406.09997).

    Each tensor with ``weight`` in its name is one matrix ``[C_out, rest]`` whose last column is its
    bias, where there is one. The convention drops all else; here every other floating-point
    tensor (class token, position embedding, layer scale, bare bias) is a matrix of its own, and
    only the tensors named by `carried_batchnorm` are left out. Grouped, a BatchNorm layer is one
    matrix with a row for each channel: scale, shift, mean, variance, whichever it has.

    Args:
        entries: every tensor of the state dict.
        batchnorm: ``rows``, ``grouped`` or ``ignore``; see `carried_batchnorm`.
    """
    carried = carried_batchnorm([name for name, _, _ in entries], batchnorm)
    shapes = {n: shape for n, shape, dtype in entries if is_floating(dtype) and n not in carried}
    grouped = _grouped(shapes) if batchnorm == "grouped" else {}
    biases = _biases({name: shape for name, shape in shapes.items() if name not in grouped})
    claimed = set(biases.values())
    matrices = (
        grouped.get(name) or _matrix(name, shape, biases.get(name))
        for name, shape in shapes.items()
        if name not in claimed
    )
    return tuple(dict.fromkeys(matrices))  # a group stands where its first tensor does


def carried_batchnorm(names: Iterable[str], batchnorm: str) -> frozenset[str]:
    """BatchNorm's tensors that travel beside the tokens.

    A BatchNorm layer is known by its running mean and variance, not by its name.

    Args:
        names: all names of the state dict.
        batchnorm: ``rows`` carries the running statistics, ``ignore`` also scale and shift,
            ``grouped`` nothing.
    """
    present = frozenset(names)
    return present & {
        module + part for module in _normalisations(present) for part in CARRIED[batchnorm]
    }


def check_settings(size: int, smallest: int, scheme: str, batchnorm: str) -> None:
    """Refuse what `place` and `channel_matrices` do not know.

    Raises:
        ValueError: naming the setting and what it can be.
    """
    if size < smallest:
        raise ValueError(f"token size {size}: at least {smallest} is needed")
    if scheme not in SCHEMES:
        raise ValueError(f"token scheme {scheme!r}: choose from {', '.join(SCHEMES)}")
    if batchnorm not in CARRIED:
        raise ValueError(f"batchnorm {batchnorm!r}: choose from {', '.join(CARRIED)}")


def place(matrices: Iterable[Matrix], size: int, scheme: str) -> tuple[Layer, ...]:
    """Lay matrices out one after the other, cut into tokens of `size` entries.

    Args:
        matrices: in token order.
        size: entries per token.
        scheme: ``channel`` fills up the last token of every row, ``dense`` only that of a layer.
    """
    layers, first = [], 0
    for pieces, rows in matrices:
        columns = sum(piece.columns for piece in pieces)
        per_row = -(-columns // size) if scheme == "channel" else 1
        stride = per_row * size if scheme == "channel" else columns
        tokens = -(-rows * stride // size)
        layers.append(Layer(pieces, rows, columns, stride, first, tokens, per_row))
        first += tokens
    return tuple(layers)


def _normalisations(names: Set[str]) -> list[str]:
    """Prefixes of the modules with running statistics, sorted."""
    modules = (name.removesuffix("running_mean") for name in names if _is_mean(name))
    return sorted(module for module in modules if module + "running_var" in names)


def _is_mean(name: str) -> bool:
    return name.rpartition(".")[2] == "running_mean"


def _grouped(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Matrix]:
    """Name of each tensor of a BatchNorm layer to the matrix they share, one row per channel."""
    grouped: dict[str, Matrix] = {}
    for module in _normalisations(shapes.keys()):
        channels = shapes[module + "running_mean"]
        names = [module + part for part in (*AFFINE, *RUNNING_STATISTICS)]
        names = [name for name in names if shapes.get(name) == channels]
        if len(channels) == 1 and module + "running_var" in names:
            matrix = Matrix(tuple(Piece(name, 1) for name in names), channels[0])
            grouped.update(dict.fromkeys(names, matrix))
    return grouped


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
