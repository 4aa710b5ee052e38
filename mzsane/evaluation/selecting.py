"""What selections go by: accuracy on validation images, and nothing else."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mzsane.images import Split
from mzsane.populations import Population, condition, evaluate


@dataclass(frozen=True, eq=False)
class OnValidation:
    """Judges models for a selection; is given no other images, and so sees none.

    Args:
        validation: images that models are judged by.
        conditioning: images from which running statistics are computed beforehand; None leaves
            those that the models have.
        workers: processes; -1 takes every core.
        device: where models run.
    """

    validation: Split
    conditioning: Split | None = None
    workers: int = 1
    device: torch.device | str = "cpu"

    def __call__(self, population: Population) -> Float[Tensor, " models"]:
        """Accuracy of each model, in [0, 1]."""
        population = population.to(self.device)
        if self.conditioning is not None:
            population = condition(population, self.conditioning, workers=self.workers)
        return evaluate(population, self.validation, self.workers).accuracy
