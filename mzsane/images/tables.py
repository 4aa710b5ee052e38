"""Decodes tables of images into arrays, and deals them out to splits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from mzsane.images.imageset import Drawn

HOLDING_OUT = 7  # purpose of the random draw, see docs/design.md


@dataclass(frozen=True)
class Columns:
    """Where tables have what, and how it is shown; see `mzsane.images.from_datasets`."""

    name: str
    image: str
    label: str
    train: str
    validation: str | None
    test: str | None
    held_out: int
    crop: bool
    shape: Sequence[int]
    classes: int
    seed: int


def read(columns: Columns, fetch: Callable[[str], Any]) -> Drawn:
    """All images of the splits.

    Args:
        columns: what is read, and how it is shown.
        fetch: opens the tables, by split; is given a folder that exists while they are read.

    Raises:
        ValueError: splits, columns or labels are not as described.
    """
    with TemporaryDirectory() as scratch:
        tables = fetch(scratch)
        names = [name for name in (columns.train, columns.validation, columns.test) if name]
        if missing := [name for name in names if name not in tables]:
            raise ValueError(
                f"{columns.name}: there is no split {missing[0]!r}; name one of "
                f"{', '.join(tables)}, or null"
            )
        parts = [_read(columns, tables[name]) for name in names]
    pixels, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Drawn(pixels, labels, _dealt(columns, [len(labels) for _, labels in parts]))


def _read(
    columns: Columns, table: Any
) -> tuple[UInt8[np.ndarray, "images channels height width"], Int[np.ndarray, "images"]]:
    """One table's images, decoded and shown, and its labels."""
    from datasets import Image

    for column in (columns.image, columns.label):
        if column not in table.column_names:
            raise ValueError(
                f"{columns.name}: there is no column {column!r}; choose among "
                f"{', '.join(table.column_names)}"
            )
    labels = np.asarray(table[columns.label])
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= columns.classes:
        raise ValueError(
            f"{columns.name}: column {columns.label!r} holds more than whole numbers from 0 to "
            f"{columns.classes - 1}; choose another column or number of classes"
        )
    images = table.select_columns(columns.image).cast_column(columns.image, Image())
    shown = [_shown(row[columns.image], columns.shape, columns.crop) for row in images]
    return np.stack(shown), labels.astype(np.int64)


def _shown(
    image: Any, shape: Sequence[int], crop: bool
) -> UInt8[np.ndarray, "channels height width"]:
    """A decoded image in grey or colour at another size."""
    from PIL import Image, ImageOps

    channels, height, width = shape
    image = image.convert("L" if channels == 1 else "RGB")
    if image.size != (width, height):
        if crop:
            image = ImageOps.pad(image, (max(width, image.width), max(height, image.height)))
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        else:
            image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)


def _dealt(columns: Columns, sizes: Sequence[int]) -> Int[np.ndarray, "parts"]:
    """Which split each image belongs to; empty where all are dealt out at random."""
    if columns.test is None and columns.validation is None:
        return np.empty(0, np.int64)
    given = [0] + [1] * (columns.validation is not None) + [2] * (columns.test is not None)
    parts = np.repeat(given, sizes)
    for part in {1, 2} - set(given):
        held_out = columns.held_out or sizes[0] // 10
        if not 0 < held_out < sizes[0]:
            raise ValueError(
                f"{columns.name}: held_out={held_out} of {sizes[0]} training images leaves no "
                "two splits"
            )
        rng = np.random.default_rng([columns.seed, HOLDING_OUT])
        parts[rng.permutation(sizes[0])[:held_out]] = part
    return parts
