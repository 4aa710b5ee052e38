"""What pretraining minimises, and what measures it."""

from mzsane.losses.behaviour import Behaviour
from mzsane.losses.contrastive import NTXent
from mzsane.losses.explained import MaskedSums, added, masked_sums, r_squared
from mzsane.losses.latents import LatentCycle, LatentNorm, LatentVariance
from mzsane.losses.reconstruction import MaskedReconstruction
from mzsane.losses.sane import SaneLoss, Term
from mzsane.losses.step import Answers, Step

__all__ = [
    "Answers",
    "Behaviour",
    "LatentCycle",
    "LatentNorm",
    "LatentVariance",
    "MaskedReconstruction",
    "MaskedSums",
    "NTXent",
    "SaneLoss",
    "Step",
    "Term",
    "added",
    "masked_sums",
    "r_squared",
]
