"""Handwritten digits of scikit-learn, shown at the size of MNIST."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from mzsane.images.imageset import Drawn, ImageSet, assemble
from mzsane.images.showing import require_shape


def digits(
    cache: Path | str | None = None, seed: int = 0, shape: Sequence[int] = (1, 28, 28)
) -> ImageSet:
    """The 1,797 handwritten digits of 13 writers that ship with scikit-learn.

    They are the test part of UCI's optical digits (Alpaydin and Kaynak 1998). The 8 x 8 originals
    fill their frame, MNIST's digits the inner 20 of 28 pixels. So they are enlarged to 5/7 of the
    image, bilinearly, with a dark border of 1/7.

    Args:
        cache: folder for the prepared images; None prepares them anew.
        seed: decides the splits.
        shape: channels (1 or 3), height and width the images are shown at.

    Raises:
        ValueError: if the shape cannot be shown.
    """
    require_shape("digits", shape)
    arguments = {"seed": seed, "shape": list(shape)}
    return assemble("digits", cache, arguments, lambda: _draw(shape))


def _draw(shape: Sequence[int]) -> Drawn:
    """Enlarged digits in 8 bits."""
    from sklearn.datasets import load_digits

    data = load_digits()
    channels, height, width = shape
    down, right = round(height / 7), round(width / 7)
    small = torch.from_numpy(data.images).unsqueeze(1) * (255 / 16)
    inner = torch.nn.functional.interpolate(
        small, (height - 2 * down, width - 2 * right), mode="bilinear"
    )
    framed = torch.nn.functional.pad(inner, (right, right, down, down)).round().to(torch.uint8)
    return Drawn(framed.expand(-1, channels, -1, -1).numpy().copy(), data.target.astype(np.int64))
