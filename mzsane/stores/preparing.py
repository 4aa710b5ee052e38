"""From the sources of a zoo to their stores, making what is missing."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from mzsane.files import taking_turns
from mzsane.progress import Progress, silent
from mzsane.stores.crew import Crew
from mzsane.stores.listing import Listing, compared
from mzsane.stores.reading import TokenStore
from mzsane.stores.source import Source, plain
from mzsane.stores.writing import write_store
from mzsane.tokens import Layout

State = Literal["missing", "changed", "grown", "equal"]


def prepare(
    sources: Mapping[str, Source],
    tokens: Mapping[str, Any],
    *,
    build: bool = True,
    download: bool = False,
    align: bool = True,
    crew: Crew | None = None,
    progress: Progress = silent,
) -> dict[str, TokenStore]:
    """Open every source's store, having made it where it was missing or out of date.

    New checkpoints of a zoo are appended to its store. The store is made anew if checkpoints have
    changed or vanished, if its zoo was to be built otherwise, or its models aligned otherwise. A
    zoo that was built or downloaded can be removed when it is stored. Of several processes that
    need the same store, one makes it and the others wait.

    Args:
        sources: by name.
        tokens: `size`, `scheme` and `batchnorm` of the layout.
        build: whether to make what is missing: models by training, stores from models. If not,
            stores are used as they are.
        download: whether to fetch published models that are missing.
        align: whether stores hold models in canonical form.
        crew: who reads and aligns; None works in this process.
        progress: see `write_store`.

    Raises:
        FileNotFoundError: a store is missing and `build` is off, or a zoo that cannot be made.
        ValueError: there are no sources, token settings are none, or a store was written with
            others.
        OSError: a store cannot be written.
    """
    if not sources:
        raise ValueError("zoo.sources is empty: name a zoo, for example zoo=digits+printed")
    Layout.of({}, **tokens)  # refuses wrong settings before models are built for them
    stores = {}
    for name, source in sources.items():
        path = Path(source.store)
        if not build and not path.exists():
            raise FileNotFoundError(
                f"{path}: the store of source '{name}' is missing and zoo.build=false; "
                f"run `python -m mzsane.preprocess zoo={name}`, or set zoo.build=true"
            )
        if build and _state(source, tokens, align) != "equal":
            with _alone(path, progress):
                _make(name, source, tokens, align, download, crew, progress)
        stores[name] = _opened(path, tokens).trusting(source.architecture)
    return stores


def _make(
    name: str,
    source: Source,
    tokens: Mapping[str, Any],
    align: bool,
    download: bool,
    crew: Crew | None,
    progress: Progress,
) -> None:
    """Bring the models here and store them; another process may have done so meanwhile."""
    state = _state(source, tokens, align)
    if state == "equal":
        return
    if source.builder:
        source.builder.build(progress)
    elif source.download and download:
        source.download.fetch(progress)
    listing = _listing(name, source)
    path = Path(source.store)
    old = _opened(path, tokens) if state == "grown" else None
    if old and compared(old, listing, source.settings.get("epochs")) == "changed":
        old = None
    write_store(
        path,
        [*listing.records, *listing.skipped],
        name=name,
        align=align,
        symmetry=source.symmetry,
        provenance=_provenance(source, align),
        extend=old,
        crew=crew,
        progress=progress,
        **tokens,
    )


def _state(source: Source, tokens: Mapping[str, Any], align: bool) -> State:
    """How a store compares with what it should hold.

    What was built is known by its settings. Other zoos are listed; one that was downloaded may
    have been removed since.
    """
    path = Path(source.store)
    if not path.exists():
        return "missing"
    store = _opened(path, tokens)
    wanted, made = _decisive(_provenance(source, align)), _decisive(store.provenance)
    if wanted != made:
        return "changed"
    if store.provenance["origin"] != source.origin:
        return "grown"  # by models: everything else is decisive
    if source.builder:
        return "equal"
    try:
        return compared(store, Listing.of(source.reader()), source.settings.get("epochs"))
    except FileNotFoundError as error:
        if source.download:
            return "equal"
        raise FileNotFoundError(f"{error}; zoo.build=false takes {path} as it is") from error


def _provenance(source: Source, align: bool) -> dict[str, Any]:
    return plain(
        {
            "origin": source.origin,
            "read": source.settings,
            "checksums": source.checksums,
            "aligned": align,
            "symmetry": source.symmetry,
        }
    )


def _decisive(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """What a store cannot be appended to if it differs."""
    built = provenance["origin"]["built"]
    return {
        "built": {**built, "num_models": None} if built else None,
        "aligned": provenance["aligned"],
        "symmetry": provenance["symmetry"],
        "architecture": provenance["read"].get("architecture"),
        "properties": provenance["read"].get("properties"),
        # what was refused for the code in it would stay refused
        "trust_pickle": bool(provenance["read"].get("trust_pickle")),
    }


def _listing(name: str, source: Source) -> Listing:
    try:
        return Listing.of(source.reader())
    except FileNotFoundError as error:
        if not source.download:
            raise
        raise FileNotFoundError(
            f"{error}; fetch it with `python -m mzsane.download zoo={name}`, or set "
            "zoo.download=true"
        ) from error


def _alone(path: Path, progress: Progress) -> AbstractContextManager[None]:
    """One process at a time makes a store; others wait."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{path.parent}: no folder for stores can be made there ({error.strerror}); "
            "give another store_dir"
        ) from error
    stage = f"waiting for another process that makes {path.name}"
    return taking_turns(path.with_name(f".{path.name}.lock"), lambda: progress(stage, 0, None))


def _opened(path: Path, tokens: Mapping[str, Any]) -> TokenStore:
    """A store with these tokens.

    Raises:
        ValueError: it has others, or is damaged.
    """
    store = TokenStore.open(path)
    for key, wanted in tokens.items():
        if store.settings[key] != wanted:
            raise ValueError(
                f"{store.path}: written with tokens.{key}={store.settings[key]}, asked for "
                f"{wanted}; set tokens.{key}={store.settings[key]}, or another store_dir"
            )
    return store
