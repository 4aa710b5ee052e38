"""Images in memory: three splits, one normalisation, one cache file a set."""

import hashlib
import inspect
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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


class Split(NamedTuple):
    """Images and their labels, in an order without meaning."""

    images: Float[Tensor, "images channels height width"]
    labels: Int[Tensor, "images"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A data set in memory, split once and for all.

    Digits, grey as they are, show a bright object on a dark ground as ``(x - 0.1307) / 0.3081``
    with ``x`` in [0, 1], so that a network trained on one set can be shown the others.

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


class Drawn(NamedTuple):
    """All images of a set, before they are normalised.

    Attributes:
        pixels: 8 bits.
        labels: classes.
        parts: 0 for the training, 1 for the validation and 2 for the test split; left empty, the
            images are dealt out at random.
    """

    pixels: UInt8[np.ndarray, "images channels height width"]
    labels: Int[np.ndarray, "images"]
    parts: Int[np.ndarray, "parts"] = np.empty(0, np.int64)


class Normalisation(NamedTuple):
    """``(x - mean) / std`` of pixels in [0, 1]; one number for each channel, or one for all."""

    mean: Sequence[float] = (MEAN,)
    std: Sequence[float] = (STD,)


def assemble(
    name: str,
    cache: Path | str | None,
    arguments: Mapping[str, Any],
    draw: Callable[[], Drawn],
    classes: int = 10,
    normalisation: Normalisation = Normalisation(),  # noqa: B008 - it cannot be changed
) -> ImageSet:
    """An image set from its cache file or, where there is none, from `draw`.

    A cache file is taken only if it was written for the same arguments, of which its name has a
    hash and its metadata all. Sets can be drawn again, so a damaged file costs a warning and the
    time to replace it.

    Args:
        name: the set's name.
        cache: folder of the cache files; None draws the images every time.
        arguments: everything the pixels depend on, as plain values; ``seed`` also decides the
            splits.
        draw: the images and their labels.
        classes: number of classes.
        normalisation: of the pixels.
    """
    if cache is None:
        drawn = draw()
    else:
        described = json.dumps(arguments, sort_keys=True)
        signature = hashlib.sha256(described.encode()).hexdigest()[:12]
        path = Path(cache) / f"{name}-{signature}.safetensors"
        metadata = {"name": name, "arguments": described}
        drawn = _load(path, metadata) or _store(path, metadata, draw())
    train, validation, test = _splits(drawn, arguments["seed"], normalisation)
    return ImageSet(name, train, validation, test, classes)


def name_of(images: Callable[[], ImageSet]) -> str:
    """What tables call the set that this loads: its argument `name`, else the function's name."""
    name = inspect.signature(images).parameters.get("name")
    return name.default if name else getattr(images, "func", images).__name__


def _splits(drawn: Drawn, seed: int, normalisation: Normalisation) -> list[Split]:
    """Shuffled and normalised splits."""
    shuffled = np.random.default_rng([seed, SPLITTING]).permutation(len(drawn.labels))
    if len(drawn.parts):
        chosen = [shuffled[drawn.parts[shuffled] == part] for part in range(3)]
    else:
        stops = [round(len(drawn.labels) * share) for share in np.cumsum(FRACTIONS)]
        chosen = np.split(shuffled, stops)
    mean, std = (torch.tensor(value).view(-1, 1, 1) for value in normalisation)
    return [
        Split(
            (torch.from_numpy(drawn.pixels[part]).float() / 255 - mean) / std,
            torch.from_numpy(drawn.labels[part]),
        )
        for part in chosen
    ]


def _load(path: Path, metadata: dict[str, str]) -> Drawn | None:
    """The cached images, or None if there are none that can be used."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "np") as file:
            if file.metadata() == metadata:
                return Drawn(*(file.get_tensor(field) for field in Drawn._fields))
        reason = "it holds other images"
    except SafetensorError as error:
        reason = str(error)
    warnings.warn(f"{path} cannot be used ({reason}) and is replaced", stacklevel=2)
    return None


def _store(path: Path, metadata: dict[str, str], drawn: Drawn) -> Drawn:
    """Writes the images under a temporary name and renames the file: it is whole or absent."""
    arrays = drawn._asdict().items()
    tensors = {field: torch.from_numpy(value).contiguous() for field, value in arrays}
    with replacing(path) as partial:
        partial.write_bytes(save(tensors, metadata))
    return drawn
