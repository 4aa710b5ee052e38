"""Image sets in memory: fixed splits and normalisations."""

from mzsane.images.digits import digits
from mzsane.images.from_datasets import from_datasets
from mzsane.images.imageset import ImageSet, Split, name_of
from mzsane.images.mnist5k import mnist5k
from mzsane.images.printed import printed
from mzsane.images.shapes import shapes

__all__ = [
    "ImageSet",
    "Split",
    "digits",
    "from_datasets",
    "mnist5k",
    "name_of",
    "printed",
    "shapes",
]
