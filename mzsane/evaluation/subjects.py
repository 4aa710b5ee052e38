"""Models that are judged, and what can be said of them without images."""

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mzsane.evaluation.distances import mean_distances
from mzsane.evaluation.novelty import Neighbourhood, Novelty
from mzsane.populations import Population
from mzsane.sampling import are_finite


@dataclass(frozen=True, eq=False)
class Subjects:
    """Models of one method.

    Attributes:
        population: theirs.
        neighbourhood: the training models they are compared with.
        mended: of each, the decoded running variances that `mzsane.sampling.mend` has replaced;
            None is none.
    """

    population: Population
    neighbourhood: Neighbourhood
    mended: Int[Tensor, " models"] | None = None

    @cached_property
    def novelty(self) -> Novelty:
        """See `Neighbourhood.novelty`."""
        return self.neighbourhood.novelty(self.population.to("cpu"))

    @cached_property
    def diversity(self) -> Float[Tensor, " models"]:
        """Mean distance to the other models, in units of novelty; NaN for one model.

        Models are compared as they were drawn, without matching them to each other: those of
        samplers are in canonical form, for others this is an upper bound. Their mean is the mean
        over all pairs. Models that are not finite have NaN, and count for none of the others.
        """
        flat = self.neighbourhood.shelf.layout.flatten(self.population.to("cpu").tensors)
        distances = torch.full((len(flat),), torch.nan, dtype=torch.float64)
        finite = self.finite
        distances[finite] = mean_distances(flat[finite], self.neighbourhood.spans)
        return distances / self.neighbourhood.spacing

    @cached_property
    def finite(self) -> Bool[Tensor, " models"]:
        """Whether all numbers of a model are finite."""
        return are_finite(self.population)
