"""The pretraining objective: reconstruction and contrast, weighted."""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn


class SaneLoss(nn.Module):
    r"""The objective of SANE (arXiv:2406.09997), :math:`\gamma L_c + (1 - \gamma) L_r`.

    Args:
        reconstruction: loss of tokens, called as `MaskedReconstruction`.
        contrastive: loss of two views' projections, called as `NTXent`.
        gamma: weight of the contrastive loss, in [0, 1].

    Raises:
        ValueError: if `gamma` is outside of [0, 1].
    """

    def __init__(
        self, reconstruction: nn.Module, contrastive: nn.Module, gamma: float = 0.05
    ) -> None:
        super().__init__()
        if not 0 <= gamma <= 1:
            raise ValueError(f"gamma {gamma}: must lie between 0 and 1")
        self.reconstruction = reconstruction
        self.contrastive = contrastive
        self.gamma = gamma

    def forward(
        self,
        prediction: Float[Tensor, "tokens_of_views window d_token"],
        target: Float[Tensor, "tokens_of_views window d_token"],
        mask: Bool[Tensor, "tokens_of_views window d_token"],
        layer: Int[Tensor, "tokens_of_views window"],
        z_a: Float[Tensor, "batch projection"],
        z_b: Float[Tensor, "batch projection"],
    ) -> dict[str, Float[Tensor, ""]]:
        """The objective under "loss", and its two parts by name.

        Args:
            prediction: reconstructed tokens of both views.
            target: clean tokens of both views.
            mask: True where a token holds a weight.
            layer: layer index of each token.
            z_a: projections of the first views.
            z_b: projections of the second views, in the same order.
        """
        reconstruction = self.reconstruction(prediction, target, mask, layer)
        contrastive = self.contrastive(z_a, z_b)
        loss = self.gamma * contrastive + (1 - self.gamma) * reconstruction
        return {"loss": loss, "reconstruction": reconstruction, "contrastive": contrastive}
