"""Showing images at another size, and in colour or grey."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn.functional import interpolate

SMALLEST = 12  # pixels; smaller images show no object of the sets here
LUMA = (0.299, 0.587, 0.114)  # grey of red, green and blue (ITU-R BT.601), as Pillow has it


def require_shape(name: str, shape: Sequence[int]) -> None:
    """Refuse a shape that images cannot be shown at.

    Raises:
        ValueError: it is not 1 or 3 channels, a height and a width of 12 pixels or more.
    """
    if len(shape) != 3 or shape[0] not in (1, 3) or min(shape[1:]) < SMALLEST:
        raise ValueError(
            f"{name}: shape={list(shape)} cannot be shown; take 1 or 3 channels, then height and "
            f"width of {SMALLEST} pixels or more"
        )


def shown(
    pixels: UInt8[np.ndarray, "images channels height width"], shape: Sequence[int]
) -> UInt8[np.ndarray, "images channels_out height_out width_out"]:
    """Images at another size, bilinearly and without aliasing, with other channels.

    Args:
        pixels: grey or colour.
        shape: channels (1 or 3), height and width.
    """
    images = torch.from_numpy(pixels)
    if images.shape[2:] != tuple(shape[1:]):
        scaled = interpolate(images.float(), tuple(shape[1:]), mode="bilinear", antialias=True)
        images = scaled.round().clamp(0, 255).to(torch.uint8)
    if images.shape[1] == 3 and shape[0] == 1:
        images = torch.einsum("nchw,c->nhw", images.float(), torch.tensor(LUMA))[:, None]
        images = images.round().to(torch.uint8)
    return images.expand(-1, shape[0], -1, -1).contiguous().numpy()
