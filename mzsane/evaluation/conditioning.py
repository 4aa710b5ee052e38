"""Which images the running statistics of judged models come from."""

from mzsane.images import ImageSet, Split
from mzsane.sampling import Conditioning


def statistics_from(how: Conditioning, images: ImageSet, decoded: bool) -> Split | None:
    """Images to compute running statistics from; None leaves those that models have.

    Models that no autoencoder decoded have no decoded statistics: where others keep theirs, these
    take validation images, so that no baseline is held back by statistics that do not fit it.

    Args:
        how: see `mzsane.sampling.conditioning_of`.
        images: of which only train or validation images are taken.
        decoded: whether an autoencoder made the models.
    """
    if how == "none" or (how == "decoded" and decoded):
        return None
    return images.train if how == "train" else images.validation
