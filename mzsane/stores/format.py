"""The file: names, version, and the encodings of what is neither number nor matrix.

::

    /                     attributes: format, format_version, name, settings, content_hash;
                          texts: provenance, skipped, refused
    /shelves/<n>          one architecture; attributes: reference, frame; texts: layout, symmetry,
                          untraced (why there is none), by_hand, architecture, recognised
        weights           [models, parameters] float32 or float16, contiguous, canonical form
        integers          [models, values] int64: the buffers that are not floating-point
        models, epochs    names and completed epochs, by which rows are ordered
        stamps            [models] int64, rounding and similarity [models, 2] float64: see `Ledger`
        properties/<name> one column per property: float64 with NaN for missing, or strings

Weights are contiguous so that readers map them into memory and touch only what a window needs.
"""

from collections.abc import Sequence
from urllib.parse import quote, unquote

import h5py
import numpy as np

FORMAT = "mzsane token store"
FORMAT_VERSION = 3
DTYPES = ("float32", "float16")
ALIGNMENT = 64  # bytes; a matrix mapped into memory should start on a cache line
COMMAND = "python -m mzsane.preprocess zoo=<name>"


def put_text(group: h5py.Group, name: str, text: str) -> None:
    """A text of any length; attributes end at 64 kB, which a layout can exceed."""
    group.create_dataset(name, data=np.frombuffer(text.encode() or b"\0", np.uint8))


def get_text(group: h5py.Group, name: str) -> str:
    """Inverse of `put_text`."""
    return group[name][()].tobytes().decode().rstrip("\0")


def put_strings(group: h5py.Group, name: str, strings: Sequence[str]) -> None:
    """One column of strings, of fixed width: a tenth of the size of variable ones."""
    encoded = [string.encode() for string in strings]
    width = max(map(len, encoded), default=0) or 1
    group[name] = np.array(encoded, h5py.string_dtype("utf-8", width))


def get_strings(group: h5py.Group, name: str) -> np.ndarray:
    """Inverse of `put_strings`, as a numpy array of strings."""
    return group[name].asstr()[()].astype(str)


def put_column(group: h5py.Group, name: str, values: Sequence[float | str | None]) -> None:
    """A property; None is missing. One string makes it a column of strings."""
    column = quote(name, safe=" ")  # a slash would nest groups
    if any(isinstance(value, str) for value in values):
        put_strings(group, column, ["" if value is None else str(value) for value in values])
    else:
        numbers = [np.nan if value is None else float(value) for value in values]
        group.create_dataset(column, data=np.array(numbers, np.float64))


def get_columns(group: h5py.Group) -> dict[str, np.ndarray]:
    """All properties that `put_column` wrote."""
    return {
        unquote(name): get_strings(group, name) if column.dtype.kind in "SO" else column[()]
        for name, column in group.items()
    }
