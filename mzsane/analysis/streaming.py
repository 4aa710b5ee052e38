"""Embeddings of whole zoos, written as they are made and continued after an interruption."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from mzsane.analysis.embedding import LEVELS, Embeddings, embed
from mzsane.analysis.members import Columns, Part, chunks, columns_of, joined
from mzsane.analysis.parts import check_format, read_part, write_part
from mzsane.files import replacing
from mzsane.models import Sane
from mzsane.progress import Progress

RECORD = "provenance.json"


class Encoder(NamedTuple):
    """An autoencoder, and how it sees models that are longer than its window.

    Attributes:
        model: on the device that is to compute.
        hash: of its weights, for provenance.
        window: tokens in one pass.
        halo: tokens of context on each side of a window.
    """

    model: Sane
    hash: str
    window: int
    halo: int

    @classmethod
    def of(
        cls, model: Sane, hash: str, window: int | None = None, halo: int | None = None
    ) -> "Encoder":
        """With the window that the autoencoder was trained on, and an eighth of it as halo."""
        window = model.window if window is None else window
        return cls(model, hash, window, window // 8 if halo is None else halo)


def embed_parts(
    encoder: Encoder,
    parts: Sequence[Part],
    folder: Path,
    provenance: Mapping[str, Any],
    progress: Progress,
    levels: Sequence[str] = ("model",),
    format: str = "npz",
) -> None:
    """Write the embeddings of checkpoints, a chunk at a time; what is there already is kept.

    Memory holds one chunk, however large the zoo. Files are ``LEVEL/SOURCE.SHELF.CHUNK.FORMAT``
    below `folder`, each level a table (`mzsane.analysis.parts`) whose rows are checkpoints, or the
    layers or tokens of checkpoints, numbered by ``layer`` and ``token``.

    Args:
        encoder: what embeds.
        parts: of the zoo, as `chosen` gives them.
        folder: of the embeddings; written by one process at a time.
        provenance: of autoencoder and stores; a folder keeps embeddings of one provenance.
        progress: told how many checkpoints are embedded.
        levels: some of `LEVELS`.
        format: ``npz`` or ``parquet``.

    Raises:
        ValueError: an unknown level or format, `folder` holds embeddings of something else, or
            autoencoder and zoo do not fit.
    """
    check_format(format)
    if not levels or set(levels) - set(LEVELS):
        raise ValueError(f"levels={list(levels)}: choose from {', '.join(LEVELS)}")
    facts = {**provenance, "window": encoder.window, "halo": encoder.halo}
    _claim(folder / RECORD, facts)
    total, done = sum(len(part.rows) for part in parts), 0
    for chunk in (chunk for part in parts for chunk in chunks(part)):
        progress("embedding", done, total)
        files = {level: folder / level / f"{chunk.name}.{format}" for level in levels}
        if not all(file.exists() for file in files.values()):
            found = embed(encoder.model, chunk, encoder.window, encoder.halo)
            for level, file in files.items():
                write_part(file, *_table(level, chunk, found), facts)
        done += len(chunk.rows)
    progress("embedding", total, total)


def read_models(
    parts: Sequence[Part], folder: Path, format: str = "npz"
) -> tuple[Columns, Float[np.ndarray, "rows latent"]]:
    """All checkpoints of `parts` as `embed_parts` wrote them at level ``model``, in their order.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file is damaged.
    """
    files = [
        folder / "model" / f"{chunk.name}.{format}" for part in parts for chunk in chunks(part)
    ]
    tables, embeddings = zip(*map(read_part, files), strict=True)
    return joined(tables), np.concatenate(embeddings)


def _claim(record: Path, facts: Mapping[str, Any]) -> None:
    """Write down what the folder is for, or refuse to mix."""
    text = json.dumps(dict(facts), indent=1, sort_keys=True) + "\n"
    if record.exists() and record.read_text() != text:
        raise ValueError(
            f"{record.parent}: holds embeddings of another autoencoder or zoo; give another "
            "hydra.run.dir, or remove it"
        )
    with replacing(record) as partial:
        partial.write_text(text)


def _table(
    level: str, chunk: Part, found: Embeddings
) -> tuple[Columns, Float[np.ndarray, "rows latent"]]:
    """Columns and embeddings of one level, a row each."""
    columns = columns_of(chunk)
    vectors = getattr(found, level).cpu().numpy()
    if level == "model":
        return columns, vectors
    rows, count, latent = vectors.shape
    repeated = {name: np.repeat(column, count) for name, column in columns.items()}
    numbers = {name: np.tile(column, rows) for name, column in _numbers(level, chunk)}
    return repeated | numbers, vectors.reshape(-1, latent)


def _numbers(level: str, chunk: Part) -> Iterator[tuple[str, np.ndarray]]:
    """What tells the layers or tokens of one model apart."""
    layout = chunk.shelf.layout
    names = np.array([layer.pieces[0].name for layer in layout.layers])
    layers = np.arange(layout.num_layers)
    if level == "token":
        layers = layout.positions[:, 1].numpy()
        yield "token", np.arange(layout.num_tokens)
    yield "layer", layers
    yield "layer_name", names[layers]
