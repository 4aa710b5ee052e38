"""What the contrastive loss sees of a window: pooled latents, projected."""

from jaxtyping import Float, Int
from torch import Tensor, nn

POOLINGS = ("concatenate", "mean")


class ProjectionHead(nn.Module):
    """Two linear layers, each with LayerNorm and ReLU, on the pooled latents of a window.

    Args:
        inputs: entries of what is seen of a window.
        outputs: width of both layers.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, outputs, bias=False),
            nn.LayerNorm(outputs),
            nn.ReLU(),
            nn.Linear(outputs, outputs, bias=False),
            nn.LayerNorm(outputs),
            nn.ReLU(),
        )

    def forward(self, x: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Project pooled windows."""
        return self.layers(x)


def blank(
    x: Float[Tensor, "batch window features"] | Int[Tensor, "batch window features"],
    segment: Int[Tensor, "batch window"] | None,
) -> Float[Tensor, "batch window features"] | Int[Tensor, "batch window features"]:
    """Zero where padding stands.

    Masking attention is not enough: 0 * NaN is NaN, and an index may lie beyond its table.
    """
    return x if segment is None else x.masked_fill(segment[..., None] < 0, 0)


def mean_of_real(
    latents: Float[Tensor, "batch window latent"], segment: Int[Tensor, "batch window"] | None
) -> Float[Tensor, "batch latent"]:
    """Mean over real tokens; zero for a window without any."""
    if segment is None:
        return latents.mean(1)
    return blank(latents, segment).sum(1) / (segment >= 0).sum(1, keepdim=True).clamp(min=1)
