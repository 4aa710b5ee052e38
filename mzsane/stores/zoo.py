"""A zoo as a composition of sources, each of which ends in one token store."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mzsane.stores.reading import TokenStore
from mzsane.stores.writing import write_store
from mzsane.zoos import Builder, ModelRecord, Skipped, read_trials

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """One population of models on disk, and the store made of it.

    Args:
        store: the token store's file.
        builder: trains the models where they are missing.
    """

    store: str | Path
    builder: Builder

    def records(self) -> Iterator[ModelRecord | Skipped]:
        """Every checkpoint of the source."""
        return read_trials(self.builder.folder)


@dataclass(frozen=True)
class Zoo:
    """Sources that are trained on together.

    Args:
        sources: by name; a composition is the union of its parts' sources.
        num_models: models per source, nested: the first 50 are among the first 100; None takes all.
        epochs: checkpoints to use; None takes all.
        mix: how often each source is drawn, see `mzsane.data.mixture_weights`.
        build: make missing zoos and stores; without it a missing store is an error.
        align: bring models into canonical form by weight matching.
    """

    sources: Mapping[str, Source]
    num_models: int | None = None
    epochs: Sequence[int] | None = None
    mix: str | Mapping[str, float] = "proportional"
    build: bool = True
    align: bool = True

    def prepare(self, tokens: Mapping[str, Any], workers: int = -1) -> dict[str, TokenStore]:
        """Open every source's store, having made it where it was missing or out of date.

        Args:
            tokens: `size`, `scheme` and `batchnorm` of the layout.
            workers: processes; -1 takes every core.

        Raises:
            FileNotFoundError: a store is missing and `build` is off.
            ValueError: a store was written with other token settings.
        """
        if not self.sources:
            raise ValueError("zoo.sources is empty: name a zoo, for example zoo=digits+printed")
        return {name: self._store(name, tokens, workers) for name in self.sources}

    def _store(self, name: str, tokens: Mapping[str, Any], workers: int) -> TokenStore:
        source = self.sources[name]
        path = Path(source.store)
        if not self.build and not path.exists():
            raise FileNotFoundError(
                f"{path}: the store of source '{name}' is missing and zoo.build=false; "
                f"run `python -m mzsane.preprocess zoo={name}` or set zoo.build=true"
            )
        origin = {"zoo": source.builder.settings, "align": self.align}
        if not path.exists() or (self.build and not self._current(path, origin)):
            source.builder.build()
            write_store(
                path, source.records(), name=name, align=self.align, provenance=origin, **tokens
            )
        store = TokenStore.open(path)
        _require_tokens(store, tokens)
        return store
