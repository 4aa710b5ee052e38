"""Handwritten digits of scikit-learn, shown at the size of MNIST."""

from pathlib import Path

import numpy as np
import torch

from mzsane.images.imageset import Drawn, ImageSet, assemble


def digits(cache: Path | str | None = None, seed: int = 0, side: int = 28) -> ImageSet:
    """The 1,797 handwritten digits of 13 writers that ship with scikit-learn.

    They are the test part of UCI's optical digits (Alpaydin and Kaynak 1998). The 8 x 8 originals
    fill their frame, MNIST's digits the inner 20 of 28 pixels. So they are enlarged to 5/7 of the
    side, bilinearly, with a dark border of 1/7.

    Args:
        cache: folder for the prepared images; None prepares them anew.
        seed: decides the splits.
        side: height and width in pixels, 12 at least.

    Raises:
        ValueError: if the side is too small.
    """
    if side < 12:
        raise ValueError(f"digits: side={side} is too small to show 8 x 8 pixels; take 12 or more")
    return assemble("digits", cache, {"seed": seed, "side": side}, lambda: _draw(side))


def _draw(side: int) -> Drawn:
    """Enlarged digits in 8 bits."""
    from sklearn.datasets import load_digits

    data = load_digits()
    border = round(side / 7)
    small = torch.from_numpy(data.images).unsqueeze(1) * (255 / 16)
    inner = torch.nn.functional.interpolate(small, side - 2 * border, mode="bilinear")
    framed = torch.nn.functional.pad(inner, 4 * (border,)).squeeze(1)
    return framed.round().to(torch.uint8).numpy(), data.target.astype(np.int64)
