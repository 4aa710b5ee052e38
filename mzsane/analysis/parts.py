"""Embeddings as files: one a chunk of checkpoints and level, whole or absent."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from mzsane.analysis.members import Columns
from mzsane.files import replacing

FORMATS = ("npz", "parquet")
EMBEDDING = "embedding"
PROVENANCE = "mzsane"  # key of it, in both formats


def check_format(format: str) -> None:
    """Refuse what cannot be written, before anything is computed.

    Raises:
        ValueError: an unknown format, or parquet without pyarrow.
    """
    if format not in FORMATS:
        raise ValueError(f"format={format}: choose from {', '.join(FORMATS)}")
    if format == "parquet":
        _pyarrow()


def write_part(
    path: Path,
    columns: Columns,
    embedding: Float[np.ndarray, "rows latent"],
    provenance: Mapping[str, Any],
) -> None:
    """Write one table of embeddings, in the format that the name ends in.

    In npz there is an array a column, and `embedding` ``[rows, latent]``; in parquet `embedding`
    is a list of fixed length. Both carry the provenance as JSON, npz as an array ``mzsane``,
    parquet in the metadata of its schema.

    Args:
        path: ends in ``.npz`` or ``.parquet``.
        columns: what is known of each row.
        embedding: of each row.
        provenance: autoencoder and store, by hash.
    """
    text = json.dumps(dict(provenance), sort_keys=True)
    with replacing(path) as partial:
        if path.suffix == ".npz":
            _write_npz(partial, {**columns, EMBEDDING: embedding, PROVENANCE: np.array(text)})
        else:
            _write_parquet(partial, columns, embedding, text)


def read_part(path: Path) -> tuple[Columns, Float[np.ndarray, "rows latent"]]:
    """Inverse of `write_part`, but for the provenance.

    Raises:
        ValueError: the file is damaged, or is parquet and pyarrow is missing.
    """
    if path.suffix == ".parquet":
        _pyarrow()  # a missing library is no damage of the file
    try:
        if path.suffix == ".parquet":
            return _read_parquet(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != PROVENANCE}
            return arrays, arrays.pop(EMBEDDING)
    except Exception as error:  # zipfile, zlib and numpy each have their own
        raise ValueError(
            f"{path}: damaged or no table of embeddings ({error}); remove it, and the same "
            "command makes it again"
        ) from error


def _write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """As `numpy.savez`, which takes some names for its own arguments."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _write_parquet(
    path: Path, columns: Columns, embedding: Float[np.ndarray, "rows latent"], provenance: str
) -> None:
    arrow = _pyarrow()
    import pyarrow.parquet

    flat = arrow.array(np.ascontiguousarray(embedding).reshape(-1))
    lists = arrow.FixedSizeListArray.from_arrays(flat, embedding.shape[1])
    table = arrow.table({**columns, EMBEDDING: lists})
    table = table.replace_schema_metadata({PROVENANCE: provenance})
    pyarrow.parquet.write_table(table, path)


def _read_parquet(path: Path) -> tuple[Columns, Float[np.ndarray, "rows latent"]]:
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(path)
    vectors = table[EMBEDDING].combine_chunks()
    flat = vectors.flatten().to_numpy(zero_copy_only=False)
    columns = {
        name: np.array(table[name].to_pylist()) for name in table.column_names if name != EMBEDDING
    }
    return columns, flat.reshape(len(table), -1)


def _pyarrow() -> ModuleType:
    try:
        import pyarrow
    except ModuleNotFoundError as error:
        raise ValueError(
            "format=parquet needs pyarrow, which is not installed; pip install 'mzsane[parquet]', "
            "or take format=npz"
        ) from error
    return pyarrow
