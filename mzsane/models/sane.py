"""SANE, a sequential autoencoder of neural-network weights (arXiv:2406.09997)."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn

from mzsane.models.head import POOLINGS, ProjectionHead, blank, mean_of_real
from mzsane.models.positions import KindVectors, make_positions
from mzsane.models.pretrained import Pretrained
from mzsane.models.transformer import INIT_STD, Transformer

Values = Float[Tensor, "batch window d_token"]
Latents = Float[Tensor, "batch window latent"]
Positions = Int[Tensor, "batch window place"]
Segment = Int[Tensor, "batch window"]
INITS = ("torch", "published")
OUR_OWN = ("self", "__class__")


class Sane(Pretrained):
    """Encodes windows of weight tokens into latents, one per token, and decodes them.

    The encoder projects tokens to `d_model`, adds positions, applies a transformer and projects
    to `latent`; the decoder mirrors it, adding positions again. Padding neither attracts
    attention nor reaches the projection head, and what stands in it is never read. Of several
    models packed into a window, none attends to another; the projection head sees them as one
    sample, whose two views are told from those of other windows.

    Initial weights are drawn from torch's global generator.

    Args:
        d_token: entries per token.
        d_model: width of the transformers, a multiple of `heads`.
        heads: attention heads.
        layers: blocks of the encoder, and of the decoder.
        latent: entries per latent.
        window: tokens per window; only a projection head that concatenates is bound to it.
        positions: ``learned`` tables; ``sinusoidal``, which have no maximum; ``relative``, waves of
            the position over the length of its model.
        max_positions: rows of the learned tables of token, layer and row index; other positions
            need none.
        projection: outputs of the projection head.
        pooling: what the projection head sees of a window: ``concatenate``, all latents in their
            order, as published; ``mean``, their mean over real tokens, for packed windows, in
            which a place means nothing.
        dropout: probability, in the blocks of both transformers.
        init: of the linear layers outside of the transformers: ``torch``, its own, by the width of
            a layer; ``published``, normal of spread 0.02 without biases, as everywhere in GPT-2.
        layer_kind: add a learned vector of its layer's kind to each token's position.

    Raises:
        ValueError: if sizes do not divide, learned positions have no maxima, or a name is unknown.
    """

    def __init__(
        self,
        d_token: int,
        d_model: int,
        heads: int,
        layers: int,
        latent: int,
        window: int,
        positions: str = "learned",
        max_positions: Sequence[int] | None = None,
        projection: int = 30,
        dropout: float = 0.0,
        pooling: str = "concatenate",
        init: str = "torch",
        layer_kind: bool = False,
    ) -> None:
        given = locals().items()
        super().__init__({name: value for name, value in given if name not in OUR_OWN})
        if d_model % 2:
            raise ValueError(f"d_model {d_model}: positions need an even width")
        _choose("pooling", pooling, POOLINGS)
        _choose("init", init, INITS)
        self.window, self.pooling = window, pooling
        self.embed = nn.Linear(d_token, d_model)
        self.positions = make_positions(positions, d_model, max_positions)
        self.encoder = Transformer(d_model, heads, layers, dropout)
        self.compress = nn.Linear(d_model, latent)
        self.expand = nn.Linear(latent, d_model)
        self.decoder = Transformer(d_model, heads, layers, dropout)
        self.unembed = nn.Linear(d_model, d_token)
        pooled = latent if pooling == "mean" else window * latent
        self.head = ProjectionHead(pooled, projection)
        self.kind = KindVectors(d_model) if layer_kind else None
        if init == "published":
            for linear in (self.embed, self.compress, self.expand, self.unembed, *self.head.layers):
                _start_as_published(linear)

    def forward(
        self, values: Values, positions: Positions, segment: Segment | None = None
    ) -> tuple[Latents, Values]:
        """Latents of the window's tokens, and the tokens decoded from them."""
        latents = self.encode(values, positions, segment)
        return latents, self.decode(latents, positions, segment)

    def encode(
        self, values: Values, positions: Positions, segment: Segment | None = None
    ) -> Latents:
        """One latent per token; those of padding mean nothing.

        Args:
            values: tokens.
            positions: token, layer and row index of each token; relative positions and
                `layer_kind` also need the further columns of `mzsane.models.positions.PLACE`.
            segment: number of each token's model in its window, -1 for padding; None says that
                each window is filled by one model.
        """
        x = self.embed(blank(values, segment)) + self._position(positions, segment)
        return self.compress(self.encoder(x, segment))

    def decode(
        self, latents: Latents, positions: Positions, segment: Segment | None = None
    ) -> Values:
        """The tokens of latents; arguments as for `encode`."""
        x = self.expand(blank(latents, segment)) + self._position(positions, segment)
        return self.unembed(self.decoder(x, segment))

    def project(
        self, latents: Latents, segment: Segment | None = None
    ) -> Float[Tensor, "batch projection"]:
        """The contrastive loss's view of a whole window, however many models it holds.

        Concatenated, padding counts as zero; in the mean it does not count.

        Raises:
            ValueError: if the window is not of the length the head was made for.
        """
        if self.pooling == "mean":
            return self.head(mean_of_real(latents, segment))
        if latents.shape[1] != self.window:
            raise ValueError(
                f"a window of {latents.shape[1]} tokens, the projection head takes {self.window}; "
                "pad it and pass `segment`, or use pooling=mean"
            )
        return self.head(blank(latents, segment).flatten(1))

    def check_positions(self, largest: Sequence[int]) -> None:
        """Refuse data beyond the position tables, once, before a step indexes outside of them.

        Args:
            largest: token, layer and row index, each the largest of all data to be seen; further
                columns of positions have no maximum.

        Raises:
            ValueError: if one has no row in its table.
        """
        self.positions.check(largest[:3])

    @property
    def num_parameters(self) -> int:
        """Trainable values."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    def _position(
        self, positions: Positions, segment: Segment | None
    ) -> Float[Tensor, "batch window d_model"]:
        positions = blank(positions, segment)
        vectors = self.positions(positions).to(self.embed.weight.dtype)
        return vectors if self.kind is None else vectors + self.kind(positions)


def _choose(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} {value!r}: choose from {', '.join(known)}")


def _start_as_published(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INIT_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
