"""Image sets in memory: fixed splits, one normalisation, nothing to download."""

from mzsane.images.digits import digits
from mzsane.images.imageset import ImageSet, Split
from mzsane.images.mnist5k import mnist5k
from mzsane.images.printed import printed

__all__ = ["ImageSet", "Split", "digits", "mnist5k", "printed"]
