"""The anchors of a command: stored models, or checkpoints that a user names."""

from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from mzsane.config import build
from mzsane.opened_zoo import tokens_of, zoo_of
from mzsane.opening import Opened, digest_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from mzsane.architectures import Architecture
    from mzsane.sampling import Anchors
    from mzsane.stores import Shelf, TokenStore
    from mzsane.tokens import Layout
    from mzsane.zoos import ModelRecord

CHOOSING = 12  # purpose of the random draw, see docs/design.md


class Loose(NamedTuple):
    """Checkpoints of one architecture that are in no store."""

    architecture: "Architecture | None"
    layout: "Layout"
    names: list[str]
    states: "list[dict[str, Tensor]]"
    hashes: dict[str, str]


def stored_anchors(
    opened: Opened, cfg: DictConfig, **window: Any
) -> "tuple[Anchors, dict[str, Any]]":
    """Anchors from the stores of a zoo, those that an evaluation with the same seed takes.

    With them come, as plain values, the content hash of their store and how they were chosen.

    Args:
        opened: the autoencoder.
        cfg: of the command.
        window: `window`, `halo` and `precision` of `encode_rows`.

    Raises:
        ValueError: filters leave none, or there are several architectures and none is chosen.
    """
    from mzsane.evaluation.streams import stream_of
    from mzsane.sampling import choose_rows, encode_rows

    zoo = zoo_of(opened, cfg)
    shelf, rows = _chosen(_shelves(zoo.stores, cfg.split, zoo.cfg.zoo), cfg.shelf, cfg.split)
    kind = shelf.architecture or shelf.layout
    rng = stream_of(cfg.seed, shelf.source, kind.fingerprint, "anchors")
    chosen = choose_rows(shelf, rows, cfg.num_anchors, rng)
    choice = OmegaConf.to_container(zoo.cfg.zoo, resolve=True)
    told = {
        "store": _hash_of_store(zoo.stores, shelf),
        "split": cfg.split,
        **{key: choice[key] for key in ("filters", "num_models", "epochs")},
    }
    return encode_rows(opened.model, shelf, chosen, **window), told


def loose_anchors(
    opened: Opened, cfg: DictConfig, **window: Any
) -> "tuple[Anchors, dict[str, Any]]":
    """Anchors from checkpoints of a user, laid out in tokens of the autoencoder's size.

    With them come SHA-256 of their files, or of their tensors where these are in no file of their
    own, and whether they were aligned.

    Args:
        opened: the autoencoder.
        cfg: of the command.
        window: `window`, `halo` and `precision` of `encode_states`.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: none can be read, or they are of several architectures.
    """
    import torch

    from mzsane.sampling import encode_states

    loose = _read(cfg, tokens_of(opened, cfg))
    states = loose.states
    if cfg.align:
        stores = zoo_of(opened, cfg).stores
        states = list(_aligned(states, loose, stores))
    stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
    anchors = encode_states(
        opened.model, loose.layout, stacked, loose.names, loose.architecture, cfg.anchors, **window
    )
    return anchors, {"sha256": loose.hashes, "aligned": bool(cfg.align)}


def _shelves(
    stores: "Mapping[str, TokenStore]", split: str, zoo: DictConfig
) -> "dict[str, tuple[Shelf, np.ndarray]]":
    """Shelves that have rows in the split, and these rows, by the name that a user gives."""
    found = {}
    for name, store in stores.items():
        models = zoo.num_models if split == "train" else None
        parts = store.select(split, models, zoo.epochs)
        for number, (shelf, rows) in enumerate(zip(store.architectures, parts, strict=True)):
            if len(rows):
                found[name if len(parts) == 1 else f"{name}/{number}"] = shelf, rows
    return found


def _chosen(
    shelves: "dict[str, tuple[Shelf, np.ndarray]]", wanted: str | None, split: str
) -> "tuple[Shelf, np.ndarray]":
    """The shelf that is named, or the only one."""
    if not shelves:
        raise ValueError(
            f"no anchors left after filtering: the zoo has none in its {split} split; take another "
            "split, or other filters"
        )
    if wanted is None and len(shelves) == 1:
        return next(iter(shelves.values()))
    if wanted in shelves:
        return shelves[wanted]
    said = "; ".join(f"{name}: {_described(*one)}" for name, one in shelves.items())
    told = f"shelf={wanted}: there is none" if wanted else "anchors are of one architecture"
    raise ValueError(f"{told}; choose with shelf= from {said}")


def _hash_of_store(stores: "Mapping[str, TokenStore]", shelf: "Shelf") -> str:
    """Of the one that the shelf is in."""
    (found,) = {
        store.content_hash
        for store in stores.values()
        if any(one is shelf for one in store.architectures)
    }
    return found


def _described(shelf: "Shelf", rows: "np.ndarray") -> str:
    name = shelf.architecture.name if shelf.architecture else "unknown network"
    return f"{len(rows)} of {name} with {shelf.layout.parameters:,} weights"


def _read(cfg: DictConfig, tokens: Mapping[str, Any]) -> Loose:
    """Some of the checkpoints at a path; what cannot be read is reported."""
    import numpy as np

    from mzsane.stores.kinds import kind_of
    from mzsane.zoos import ModelRecord

    members = list(_members(cfg))
    records = [member for member in members if isinstance(member, ModelRecord)]
    for skipped in (member for member in members if not isinstance(member, ModelRecord)):
        print(f"left out: {skipped.path}: {skipped.reason}", flush=True)
    if not records:
        raise ValueError(f"{cfg.anchors}: no anchors left, none of the files can be read")
    rng = np.random.default_rng([cfg.seed, CHOOSING])
    count = min(cfg.num_anchors, len(records))
    taken = [records[at] for at in sorted(rng.permutation(len(records))[:count])]
    kinds = [kind_of(record, _loaded(record), tokens) for record in taken]
    different = {kind.layout.fingerprint: kind for kind, _ in kinds}
    if len(different) > 1:
        names = [_told(kind.architecture, kind.layout) for kind in different.values()]
        raise ValueError(
            f"{cfg.anchors}: anchors are of one architecture, these of several "
            f"({'; '.join(names)}); give a folder with one of them"
        )
    kind = kinds[0][0]
    if kind.remark:
        print(kind.remark, flush=True)
    names = [f"{record.model}@{record.epoch}" for record in taken]
    states = [state for _, state in kinds]
    hashes = {n: _hash(*one) for n, one in zip(names, zip(taken, states, strict=True), strict=True)}
    return Loose(kind.architecture, kind.layout, names, states, hashes)


def _hash(record: "ModelRecord", state: "Mapping[str, Tensor]") -> str:
    """SHA-256 of a checkpoint's file, or else of names and values of its tensors."""
    path = Path(record.provenance.get("file", ""))
    if path.is_file():
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    return digest_of(state)


def _members(cfg: DictConfig) -> "Iterator[Any]":
    """Records of the checkpoints at a path, of a single one too."""
    from mzsane.zoos import ModelRecord, load_weights, read_zoo
    from mzsane.zoos.reading.hub import is_repository
    from mzsane.zoos.reading.naming import is_weights

    path = Path(cfg.anchors).expanduser()
    if not path.exists() and not is_repository(cfg.anchors):
        raise FileNotFoundError(f"anchors={path}: there is no such file or folder")
    architecture = build(cfg.architecture) if cfg.architecture else None
    trust = bool(cfg.zoo.trust_pickle)
    if path.is_file() and is_weights(path.name):
        load = partial(load_weights, path, trust)
        record = ModelRecord(path.stem, 0, load, {}, architecture, {"file": str(path)})
        return iter([record])
    return read_zoo(cfg.anchors, architecture=architecture, trust_pickle=trust)


def _loaded(record: "ModelRecord") -> "dict[str, Tensor]":
    """Weights of a checkpoint that the user has named, so that none is passed over."""
    try:
        return record.load()
    except (ValueError, OSError) as error:
        where = record.provenance.get("file", record.model)
        raise ValueError(f"{where}: cannot be an anchor: {error}") from error


def _told(architecture: "Architecture | None", layout: "Layout") -> str:
    return f"{architecture.name if architecture else 'unknown'} with {layout.parameters:,} weights"


def _aligned(
    states: "list[dict[str, Tensor]]", loose: Loose, stores: "Mapping[str, TokenStore]"
) -> "Iterator[dict[str, Tensor]]":
    """Each model with its channels in the order of the reference of a store.

    Raises:
        ValueError: no store has models of this architecture and a reference.
    """
    from mzsane.symmetry import Matcher

    for shelf in (shelf for store in stores.values() for shelf in store.architectures):
        same = shelf.layout.shapes == loose.layout.shapes
        if same and shelf.symmetry is not None and shelf.reference is not None:
            matcher = Matcher(shelf.state(shelf.reference), shelf.symmetry)
            for state in states:
                yield shelf.symmetry.apply(state, matcher.match(state))
            return
    raise ValueError(
        f"{_told(loose.architecture, loose.layout)}: no store of the zoo has aligned models of "
        "this architecture; name another zoo, or set align=false"
    )
