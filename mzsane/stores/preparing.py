"""From the sources of a zoo to their stores, making what is missing."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mzsane.files import taking_turns
from mzsane.progress import Progress, silent
from mzsane.stores.reading import TokenStore
from mzsane.stores.writing import write_store
from mzsane.symmetry import Symmetry
from mzsane.zoos import Builder, ModelRecord, Skipped


@runtime_checkable
class Download(Protocol):
    """What brings a zoo onto this machine, `mzsane.zoos.Download` for example."""

    def fetch(self, progress: Progress) -> None:
        """Bring what is missing."""


@dataclass(frozen=True)
class Source:
    """One population of models on disk, and the store made of it.

    Args:
        store: the token store's file.
        reader: gives every checkpoint of the source, and what could not be read.
        builder: trains the models where they are missing; None if they come from elsewhere.
        download: fetches the models where they are missing; None if they are there.
        symmetry: groups given by hand, for networks that cannot be traced; None traces them.
    """

    store: str | Path
    reader: Callable[[], Iterator[ModelRecord | Skipped]]
    builder: Builder | None = None
    download: Download | None = None
    symmetry: Symmetry | None = None


def prepare(
    sources: Mapping[str, Source],
    tokens: Mapping[str, Any],
    *,
    build: bool = True,
    align: bool = True,
    workers: int = 1,
    progress: Progress = silent,
) -> dict[str, TokenStore]:
    """Open every source's store, having made it where it was missing or out of date.

    A store is out of date if its zoo was to be built otherwise, or its models aligned otherwise.
    Of several processes that need the same store, one makes it and the others wait.

    Args:
        sources: by name.
        tokens: `size`, `scheme` and `batchnorm` of the layout.
        build: whether to make what is missing: models by training, stores from models.
        align: whether stores hold models in canonical form.
        workers: processes that align.
        progress: see `write_store`.

    Raises:
        FileNotFoundError: a store is missing and `build` is off.
        ValueError: there are no sources, or a store was written with other token settings.
    """
    if not sources:
        raise ValueError("zoo.sources is empty: name a zoo, for example zoo=digits+printed")
    stores = {}
    for name, source in sources.items():
        path, origin = Path(source.store), {"built": _built(source), "aligned": align}
        if not build and not path.exists():
            raise FileNotFoundError(
                f"{path}: the store of source '{name}' is missing and zoo.build=false; "
                f"run `python -m mzsane.preprocess zoo={name}`, or set zoo.build=true"
            )
        if build and not _current(path, origin):
            with _alone(path, progress):
                if not _current(path, origin):  # another process may have made it meanwhile
                    _bring(source, progress)
                    write_store(
                        path, source.reader(), name=name, align=align, provenance=origin,
                        workers=workers, progress=progress, **tokens,
                    )  # fmt: skip
        stores[name] = _with_tokens(TokenStore.open(path), tokens)
    return stores


def _built(source: Source) -> dict[str, Any] | None:
    return source.builder.settings if source.builder else None


def _bring(source: Source, progress: Progress) -> None:
    """Make sure that there is something to read."""
    if source.builder:
        source.builder.build(progress)
    elif source.download:
        source.download.fetch(progress)


def _alone(path: Path, progress: Progress) -> AbstractContextManager[None]:
    """One process at a time makes a store; others wait."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stage = f"waiting for another process that makes {path.name}"
    return taking_turns(path.with_name(f".{path.name}.lock"), lambda: progress(stage, 0, None))


def _current(path: Path, origin: Mapping[str, Any]) -> bool:
    """Whether a store is there and was made as asked for; a damaged one is an error."""
    if not path.exists():
        return False
    recorded = TokenStore.open(path).provenance
    return all(recorded.get(key) == value for key, value in origin.items())


def _with_tokens(store: TokenStore, tokens: Mapping[str, Any]) -> TokenStore:
    for key, wanted in tokens.items():
        if store.settings[key] != wanted:
            raise ValueError(
                f"{store.path}: written with tokens.{key}={store.settings[key]}, asked for "
                f"{wanted}; set tokens.{key}={store.settings[key]}, or another store_dir"
            )
    return store
