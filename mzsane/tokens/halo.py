"""Long sequences in windows: content to keep, and context on either side of it (the halo)."""

import torch
from jaxtyping import Bool, Int, Shaped
from torch import Tensor


def halo_starts(length: int, content: int, halo: int) -> Int[Tensor, " windows"]:
    """First place of each window.

    Window i is to hold the content ``[i * content, (i + 1) * content)`` with `halo` places of
    context before and after. At the ends of the sequence it is shifted inwards, so that all
    windows have the same width, ``min(content + 2 * halo, length)``, and none is padded.

    Args:
        length: of the sequence, at least 1.
        content: places each window contributes, at least 1.
        halo: places of context on each side, at least 0.

    Raises:
        ValueError: if an argument is below its minimum.
    """
    if length < 1 or content < 1 or halo < 0:
        raise ValueError(
            f"length {length}, content {content}, halo {halo}: "
            "length and content are at least 1, halo at least 0"
        )
    starts = torch.arange(0, length, content) - halo
    return starts.clamp(min=0, max=max(length - content - 2 * halo, 0))


def halo_places(length: int, content: int, halo: int) -> Int[Tensor, "windows width"]:
    """Places of the sequence that stand in each window (`halo_starts`).

    Raises:
        ValueError: if an argument is below its minimum.
    """
    starts = halo_starts(length, content, halo)
    return starts[:, None] + torch.arange(min(content + 2 * halo, length))


def halo_own(places: Int[Tensor, "windows width"], content: int) -> Bool[Tensor, "windows width"]:
    """Which places are the content of their window; read in order, they are the sequence."""
    return places // content == torch.arange(len(places))[:, None]


def slice_halo(
    sequence: Shaped[Tensor, "*batch length features"], content: int, halo: int
) -> Shaped[Tensor, "*batch windows width features"]:
    """Windows of content and context (`halo_starts`); tokens and positions are cut alike.

    Raises:
        ValueError: if the sequence is empty, `content` below 1 or `halo` negative.
    """
    places = halo_places(sequence.shape[-2], content, halo)
    return sequence[..., places.to(sequence.device), :]


def stitch_halo(
    windows: Shaped[Tensor, "*batch windows width features"], length: int, content: int, halo: int
) -> Shaped[Tensor, "*batch length features"]:
    """Inverse of `slice_halo`: each place from the window whose content it is.

    Args:
        windows: of a sequence of `length` places.
        length: of the sequence.
        content: as it was sliced.
        halo: as it was sliced.

    Raises:
        ValueError: if the windows are not those of such a sequence.
    """
    places = halo_places(length, content, halo)
    if windows.shape[-3:-1] != places.shape:
        raise ValueError(
            f"{list(windows.shape[-3:-1])} windows and places, {list(places.shape)} expected for "
            f"length {length}, content {content}, halo {halo}"
        )
    return windows[..., halo_own(places, content).to(windows.device), :]
