"""Where a token stands in its model: position encodings, and vectors of the layer's kind."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn

AXES = ("token", "layer", "row")
PLACE = (*AXES, "tokens", "layers", "rows", "kind")
"""Columns of positions: indices of token, layer and row; how many tokens and layers the model has
and rows the layer; number of the layer's kind. Learned and sinusoidal positions read the first
three only."""
NUM_KINDS = 5
"""Kinds of layers: other, convolution, linear, normalization, recurrent."""
INIT_STD = 0.02
"""As in GPT-2; the unit spread of `nn.Embedding` drowns the tokens, see `AMPLITUDE`."""
AMPLITUDE = 0.1
"""Height of the waves. Embedded tokens of trained networks have entries of size 0.04 to 0.08, which
waves of height 1 would drown: on `digits`, R² after 120 steps of a model 64 wide was 0.61, 0.60,
0.46 and 0.16 with heights of 0.02, 0.1, 0.3 and 1."""
PERIOD = 10_000
"""Ratio of the fastest to the slowest frequency (arXiv:1706.03762), and the number of places over
which relative positions spread every model."""


class LearnedPositions(nn.Module):
    r"""Tables of position vectors, :math:`[E_1(p_1) + E_2(p_2),\; E_3(p_3)]` (arXiv:2406.09997).

    Args:
        d_model: width of a position vector, twice that of a table; even.
        max_positions: rows of the tables of token, layer and row index.

    Raises:
        ValueError: if there are not three positive maxima.
    """

    def __init__(self, d_model: int, max_positions: Sequence[int]) -> None:
        super().__init__()
        if len(max_positions) != 3 or min(max_positions) < 1:
            raise ValueError(
                f"max_positions {list(max_positions)}: three positive numbers are needed, "
                "for token, layer and row"
            )
        tables = (nn.Embedding(maximum, d_model // 2) for maximum in max_positions)
        self.token, self.layer, self.row = tables
        for table in (self.token, self.layer, self.row):
            nn.init.normal_(table.weight, std=INIT_STD)

    def forward(
        self, positions: Int[Tensor, "batch window place"]
    ) -> Float[Tensor, "batch window d_model"]:
        """Position vectors; every index must lie in its table (`check`)."""
        token, layer, row = positions[..., :3].unbind(-1)
        return torch.cat([self.token(token) + self.layer(layer), self.row(row)], dim=-1)

    def check(self, largest: Sequence[int]) -> None:
        """Refuse models whose largest token, layer and row index exceed the tables.

        Raises:
            ValueError: if one does.
        """
        tables = (self.token, self.layer, self.row)
        for axis, table, index in zip(AXES, tables, largest, strict=True):
            if index >= table.num_embeddings:
                raise ValueError(
                    f"max_positions: {axis} index {index} is beyond the table of "
                    f"{table.num_embeddings}; enlarge it or use positions=sinusoidal"
                )


class SinusoidalPositions(nn.Module):
    r"""Fixed position vectors without a maximum, for heterogeneous zoos (arXiv:2510.02096).

    The structure of `LearnedPositions` with :math:`E(p)` the sines and cosines of
    :math:`p \cdot 10000^{-2i/w}`, :math:`i < w/2`, at table width :math:`w` (arXiv:1706.03762),
    times `AMPLITUDE`.

    Args:
        d_model: width of a position vector, a multiple of 4.

    Raises:
        ValueError: if `d_model` is not.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        if d_model % 4:
            raise ValueError(
                f"d_model {d_model}: sinusoidal and relative positions need a multiple of 4"
            )
        self.frequencies = d_model // 4

    def forward(
        self, positions: Int[Tensor, "batch window place"]
    ) -> Float[Tensor, "batch window d_model"]:
        """Position vectors in float32."""
        return _waves(positions[..., :3], self.frequencies)

    def check(self, largest: Sequence[int]) -> None:
        """Every index has a vector."""


class RelativePositions(SinusoidalPositions):
    r"""Fixed vectors of how far through its model a token stands, for models of any length.

    Those of `SinusoidalPositions` with :math:`E(10000 \, p / n)` in place of :math:`E(p)`, where
    :math:`n` is the number of tokens or layers of the model, or of rows of the layer: whatever its
    length, a model extends over the 10,000 places for which these frequencies were chosen. The
    slowest wave then turns by about one radian over a model, and the fastest tells apart the
    neighbours among a million tokens.
    """

    def forward(
        self, positions: Int[Tensor, "batch window place"]
    ) -> Float[Tensor, "batch window d_model"]:
        """Position vectors in float32.

        Raises:
            ValueError: if `positions` lack the numbers of tokens, layers and rows.
        """
        index, extent = _complete(positions)[..., :6].unflatten(-1, (2, 3)).unbind(-2)
        share = index / extent.clamp(min=1)  # padding has no extent, and must not become NaN
        return _waves(PERIOD * share, self.frequencies)


class KindVectors(nn.Module):
    """A learned vector for each kind of layer, added to the position vectors of its tokens.

    Args:
        d_model: width of a vector.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.table = nn.Embedding(NUM_KINDS, d_model)
        nn.init.normal_(self.table.weight, std=INIT_STD)

    def forward(
        self, positions: Int[Tensor, "batch window place"]
    ) -> Float[Tensor, "batch window d_model"]:
        """The vector of each token's layer.

        Raises:
            ValueError: if `positions` lack the kind.
        """
        return self.table(_complete(positions)[..., PLACE.index("kind")])


def make_positions(
    kind: str, d_model: int, max_positions: Sequence[int] | None
) -> LearnedPositions | SinusoidalPositions | RelativePositions:
    """Position encodings by name.

    Raises:
        ValueError: if `kind` is unknown, or ``learned`` without `max_positions`.
    """
    if kind == "sinusoidal":
        return SinusoidalPositions(d_model)
    if kind == "relative":
        return RelativePositions(d_model)
    if kind != "learned":
        raise ValueError(f"positions {kind!r}: choose from learned, sinusoidal, relative")
    if max_positions is None:
        raise ValueError("positions 'learned': max_positions is needed, for token, layer and row")
    return LearnedPositions(d_model, max_positions)


def _waves(
    places: Shaped[Tensor, "batch window 3"], frequencies: int
) -> Float[Tensor, "batch window d_model"]:
    """Sines and cosines of token, layer and row, combined as in `LearnedPositions`."""
    # Not a buffer: a model cast to bfloat16 would cast it, and lose the phase of long models.
    step = torch.arange(frequencies, device=places.device) / frequencies
    angles = places[..., None] * torch.exp(-math.log(PERIOD) * step)
    token, layer, row = (AMPLITUDE * torch.cat([angles.sin(), angles.cos()], dim=-1)).unbind(-2)
    return torch.cat([token + layer, row], dim=-1)


def _complete(positions: Int[Tensor, "batch window place"]) -> Int[Tensor, "batch window place"]:
    if positions.shape[-1] != len(PLACE):
        raise ValueError(
            f"positions of {positions.shape[-1]} columns: relative positions and layer_kind need "
            f"all of {', '.join(PLACE)}; take the positions of a mzsane.tokens.Layout"
        )
    return positions
