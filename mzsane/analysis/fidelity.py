"""How well an autoencoder reconstructs models, layer by layer."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor

from mzsane.analysis.kin import kin_of
from mzsane.analysis.members import Part, chunks, columns_of
from mzsane.analysis.streaming import Encoder
from mzsane.progress import Progress
from mzsane.sampling import decode, encode


class Sums(NamedTuple):
    """Over the weights of each layer: how many, their sum, of squares, of squared errors."""

    count: Float[Tensor, " layers"]
    total: Float[Tensor, " layers"]
    squares: Float[Tensor, " layers"]
    errors: Float[Tensor, " layers"]


def layer_fidelity(
    encoder: Encoder, parts: Sequence[Part], split: str, progress: Progress
) -> list[dict[str, Any]]:
    r"""Reconstruction of the models of a split, a row for each layer of each kind of network.

    ``r2`` is :math:`1 - \sum (w - \hat w)^2 / \sum (w - \bar w)^2` over all weights of the layer in
    all these models, with their common mean; padding does not count. ``rmse`` is the root of the
    mean squared error, in units of weights, beside ``std`` of the weights themselves.

    Args:
        encoder: what encodes and decodes.
        parts: of the zoo.
        split: of the models, such as ``test``.
        progress: told how many checkpoints are done.
    """
    rows = []
    chosen = [(kin, [_of_split(part, split) for part in kin.parts]) for kin in kin_of(parts)]
    total, done = sum(len(part.rows) for _, own in chosen for part in own), 0
    for kin, own in chosen:
        sums, models = None, 0
        for chunk in (chunk for part in own for chunk in chunks(part)):
            progress("reconstructing", done, total)
            found = _sums(encoder, chunk)
            sums = (
                found if sums is None else Sums(*(a + b for a, b in zip(sums, found, strict=True)))
            )
            models, done = models + len(chunk.rows), done + len(chunk.rows)
        if sums is not None:
            rows.extend(_rows(kin.parts, sums, models))
    progress("reconstructing", total, total)
    return rows


def layer_sums(
    weights: Float[Tensor, "models tokens d_token"],
    decoded: Float[Tensor, "models tokens d_token"],
    mask: Bool[Tensor, "tokens d_token"],
    layers: Int[Tensor, " tokens"],
    count: int,
) -> Sums:
    """What R² and error of each layer are made of, in float64; entries that `mask` hides are not.

    Args:
        weights: tokens of models.
        decoded: the same, reconstructed.
        mask: where tokens hold weights.
        layers: of each token.
        count: layers.
    """
    weights, decoded = weights.double(), decoded.double()
    entries = (
        mask.double().sum(1) * len(weights),
        (weights * mask).sum((0, 2)),
        (weights.square() * mask).sum((0, 2)),
        ((weights - decoded).square() * mask).sum((0, 2)),
    )
    empty = weights.new_zeros(count)
    return Sums(*(empty.index_add(0, layers, values) for values in entries))


def _of_split(part: Part, split: str) -> Part:
    return part._replace(rows=part.rows[columns_of(part)["split"] == split])


def _sums(encoder: Encoder, part: Part) -> Sums:
    layout, (model, _, window, halo) = part.shelf.layout, encoder
    tokens = layout.tokenize(part.shelf.states(part.rows)).float()
    latents = encode(model, tokens, layout.positions, window, halo)
    decoded = decode(model, latents, layout.positions, window, halo)
    return layer_sums(tokens, decoded, layout.mask, layout.positions[:, 1], layout.num_layers)


def _rows(parts: Sequence[Part], sums: Sums, models: int) -> Iterator[dict[str, Any]]:
    shelf = parts[0].shelf
    spread = sums.squares - sums.total.square() / sums.count
    for number, layer in enumerate(shelf.layout.layers):
        count, errors = float(sums.count[number]), float(sums.errors[number])
        variance = float(spread[number].clamp(min=0))
        yield {
            "architecture": shelf.architecture.name if shelf.architecture else "unknown",
            "weights": shelf.layout.parameters,
            "layer": number,
            "layer_name": layer.pieces[0].name,
            "entries": int(count) // models,
            "checkpoints": models,
            "r2": 1 - errors / variance if variance else float("nan"),
            "rmse": (errors / count) ** 0.5,
            "std": (variance / count) ** 0.5,
        }
