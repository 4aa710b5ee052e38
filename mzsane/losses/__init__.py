"""What pretraining minimises, and what measures it."""

from mzsane.losses.contrastive import NTXent
from mzsane.losses.explained import MaskedSums, masked_sums
from mzsane.losses.reconstruction import MaskedReconstruction
from mzsane.losses.sane import SaneLoss

__all__ = ["MaskedReconstruction", "MaskedSums", "NTXent", "SaneLoss", "masked_sums"]
