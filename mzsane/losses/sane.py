"""The pretraining objective: reconstruction and contrast, and what else is to count."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from mzsane.losses.step import Step

OWN = ("loss", "reconstruction", "contrastive")
"""Names that further terms cannot have."""


class Term(nn.Module):
    """A further part of the objective.

    Args:
        loss: called with a `Step`, returns a scalar.
        weight: its factor in the objective, at least 0; a term of weight 0 is not computed.

    Raises:
        ValueError: if `weight` is negative.
    """

    def __init__(self, loss: nn.Module, weight: float = 0.0) -> None:
        super().__init__()
        if weight < 0:
            raise ValueError(f"weight {weight} of {type(loss).__name__}: must not be negative")
        self.loss = loss
        self.weight = weight

    def forward(self, step: Step) -> Float[Tensor, ""]:
        """The loss, without its weight."""
        return self.loss(step)


class SaneLoss(nn.Module):
    r"""The objective of SANE (arXiv:2406.09997) and weighted further terms.

    .. math:: L = \gamma L_c + (1 - \gamma) L_r + \sum_k w_k L_k

    Without terms, or with weights of 0, it is the published one.

    Args:
        reconstruction: :math:`L_r`, called as `MaskedReconstruction`.
        contrastive: :math:`L_c`, loss of two views' projections, called as `NTXent`.
        gamma: weight of the contrastive loss, in [0, 1].
        terms: further parts :math:`L_k` by name, each with its weight :math:`w_k`.

    Raises:
        ValueError: if `gamma` is outside of [0, 1], or a term has the name of another part.
    """

    def __init__(
        self,
        reconstruction: nn.Module,
        contrastive: nn.Module,
        gamma: float = 0.05,
        terms: Mapping[str, Term] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= gamma <= 1:
            raise ValueError(f"gamma {gamma}: must lie between 0 and 1")
        if taken := [name for name in terms or {} if name in OWN]:
            raise ValueError(f"terms.{taken[0]}: a part has this name already; choose another")
        self.reconstruction = reconstruction
        self.contrastive = contrastive
        self.gamma = gamma
        counting = {name: term for name, term in (terms or {}).items() if term.weight}
        self.terms = nn.ModuleDict(counting)

    def forward(self, step: Step) -> dict[str, Float[Tensor, ""]]:
        """The objective under "loss", and its parts by name, without their weights."""
        reconstruction = self.reconstruction(step.prediction, step.target, step.mask, step.layer)
        pair = step.projections[:, 0], step.projections[:, -1]
        contrastive = self.contrastive(*pair) if self.training else self._measured(step, *pair)
        loss = self.gamma * contrastive + (1 - self.gamma) * reconstruction
        further = {}
        for name, term in self.terms.items():
            further[name] = term(step)
            loss = loss + term.weight * further[name]
        own = {"loss": loss, "reconstruction": reconstruction, "contrastive": contrastive}
        return own | further

    def _measured(
        self,
        step: Step,
        z_a: Float[Tensor, "batch projection"],
        z_b: Float[Tensor, "batch projection"],
    ) -> Float[Tensor, ""]:
        """The contrast of validation, where what only evens out processes has no weights."""
        views = step.projections.shape[1]
        return self.contrastive(z_a, z_b, step.mask[::views].flatten(1).any(1))
