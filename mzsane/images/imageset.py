"""Images in memory: three splits, one normalisation, one cache file a set."""

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mzsane.files import replacing

MEAN, STD = 0.1307, 0.3081  # of MNIST's pixels in [0, 1], as in the published MNIST zoos
FRACTIONS = (0.7, 0.1)  # train and validation; the rest is the test split
SPLITTING = 1  # purpose of the random draw, see docs/design.md

Pixels = UInt8[np.ndarray, "images height width"]
Drawn = tuple[Pixels, Int[np.ndarray, "images"]]


class Split(NamedTuple):
    """Images and their labels, in an order without meaning."""

    images: Float[Tensor, "images channels height width"]
    labels: Int[Tensor, "images"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A data set in memory, split once and for all.

    Every set of this room shows a bright object on a dark ground as ``(x - 0.1307) / 0.3081`` with
    ``x`` in [0, 1], so that a network trained on one can be shown the others.

    Attributes:
        name: what tables and files call it.
        train: trains and fine-tunes models.
        validation: selects and conditions models.
        test: reported, once.
        classes: number of classes; labels lie in [0, classes).
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: int


def assemble(
    name: str, cache: Path | str | None, arguments: Mapping[str, int], draw: Callable[[], Drawn]
) -> ImageSet:
    """An image set from its cache file or, where there is none, from `draw`.

    A cache file is taken only if it was written for the same arguments, which are part of its
    name and of its metadata. Sets can be drawn again offline, so a damaged file costs a warning
    and the time to replace it.

    Args:
        name: the set's name.
        cache: folder of the cache files; None draws the images every time.
        arguments: everything the images depend on; ``seed`` also decides the splits.
        draw: grey images of 8 bits and their labels.
    """
    if cache is None:
        pixels, labels = draw()
    else:
        signature = "-".join(f"{key}{value}" for key, value in sorted(arguments.items()))
        path = Path(cache) / f"{name}-{signature}.safetensors"
        metadata = {"name": name, "arguments": json.dumps(arguments, sort_keys=True)}
        pixels, labels = _load(path, metadata) or _store(path, metadata, draw())
    return _split(name, pixels, labels, arguments["seed"])


def _split(name: str, pixels: Pixels, labels: Int[np.ndarray, "images"], seed: int) -> ImageSet:
    """Shuffled and normalised splits."""
    shuffled = np.random.default_rng([seed, SPLITTING]).permutation(len(labels))
    stops = [round(len(labels) * share) for share in np.cumsum(FRACTIONS)]
    images = (torch.from_numpy(pixels).float() / 255 - MEAN) / STD
    train, validation, test = (
        Split(images[chosen].unsqueeze(1), torch.from_numpy(labels)[chosen])
        for chosen in map(torch.from_numpy, np.split(shuffled, stops))
    )
    return ImageSet(name, train, validation, test, classes=10)


def _load(path: Path, metadata: dict[str, str]) -> Drawn | None:
    """The cached images, or None if there are none that can be used."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            if file.metadata() == metadata:
                return file.get_tensor("pixels"), file.get_tensor("labels")
        reason = "it holds other images"
    except SafetensorError as error:
        reason = str(error)
    warnings.warn(f"{path} cannot be used ({reason}) and is replaced", stacklevel=2)
    return None


def _store(path: Path, metadata: dict[str, str], drawn: Drawn) -> Drawn:
    """Writes the images under a temporary name and renames the file: it is whole or absent."""
    tensors = {"pixels": torch.from_numpy(drawn[0]), "labels": torch.from_numpy(drawn[1])}
    with replacing(path) as partial:
        partial.write_bytes(save(tensors, metadata))
    return drawn
