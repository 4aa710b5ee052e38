"""Reconstructed networks are to answer as the original ones do."""

from jaxtyping import Float
from torch import Tensor, nn

from mzsane.losses.ranks import shared_mean
from mzsane.losses.step import Step


class Behaviour(nn.Module):
    r"""Behavioural loss (arXiv:2503.17138): the answers of a network, before and after.

    .. math:: L = \frac{1}{N} \sum_{\theta} \frac{1}{Q C} \sum_{q=1}^{Q}
              \lVert f_\theta(x_q) - f_{\hat\theta}(x_q) \rVert^2

    over the N networks of the batch that a window holds whole, with Q images each and C logits
    per image. What weights do, and not how far they are off, is measured: in units of squared
    logits. Gradients flow through the reconstructed networks alone. In a distributed run N counts
    the networks of all ranks.

    Args:
        queries: Q, images that each network is shown in a step; others in the next.

    Raises:
        ValueError: if `queries` is below 1.
    """

    def __init__(self, queries: int = 32) -> None:
        super().__init__()
        if queries < 1:
            raise ValueError(f"queries {queries}: at least one image is needed")
        self.queries = queries

    def forward(self, step: Step) -> Float[Tensor, ""]:
        """Mean over networks; 0 where no window of the batch holds one.

        Raises:
            ValueError: if the step has no networks that could answer.
        """
        if step.answers is None:
            raise ValueError(
                "the behavioural loss needs networks that answer: Pretraining.networks"
            )
        answers = step.answers(self.queries)
        total = step.prediction.new_zeros(())
        count = step.mask.new_zeros((), dtype=step.layer.dtype)
        for original, reconstructed, real in answers:
            errors = (reconstructed - original.detach()).square().mean((1, 2))
            total = total + errors.masked_fill(~real, 0).sum()
            count = count + real.sum()
        return shared_mean(total, count)
