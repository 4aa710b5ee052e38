"""Reading a store."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Bool
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.stores.format import COMMAND, FORMAT, FORMAT_VERSION, get_columns, get_strings, get_text
from mzsane.stores.journal import Refused
from mzsane.stores.report import Report
from mzsane.stores.selection import chosen_epochs, chosen_models
from mzsane.stores.shelf import Ledger, Shelf
from mzsane.symmetry import Symmetry
from mzsane.tokens import Layout
from mzsane.zoos import Filter, Skipped, keep


@dataclass(frozen=True, eq=False)
class TokenStore:
    """One source of models: every checkpoint once, in canonical form.

    Holds no open file, so that it can be pickled and survives a fork.

    Attributes:
        path: of the file.
        name: of the source.
        settings: token size as asked for (0 = largest row), scheme, batchnorm, dtype.
        provenance: where the models come from.
        skipped: members of the zoo that are no checkpoints.
        refused: checkpoints that could not be stored.
        content_hash: SHA-256 over all shelves; equal for equal models, whenever they were stored.
        architectures: a shelf for each.
        kept: rows of all shelves that `select` may choose; None if none was left out.
        left_out: by each filter, in words.
    """

    path: Path
    name: str
    settings: dict[str, Any]
    provenance: dict[str, Any]
    skipped: tuple[Skipped, ...]
    refused: tuple[Refused, ...]
    content_hash: str
    architectures: tuple[Shelf, ...]
    kept: Bool[np.ndarray, " rows"] | None = None
    left_out: tuple[str, ...] = ()

    @classmethod
    def open(cls, path: str | Path) -> "TokenStore":
        """Read everything but the weights.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is cut short, no token store, or of another format version.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no token store there; make it with `{COMMAND}`")
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise ValueError(
                f"{path}: damaged, cut short or no HDF5 file ({error}); remove it, and make "
                f"it again with `{COMMAND}`"
            ) from error
        with file:
            _check_format(path, file)
            try:
                return cls(path, architectures=_shelves(path, file), **_fields(file))
            except KeyError as error:
                raise ValueError(
                    f"{path}: a token store that lacks a part ({error}); remove it, and "
                    f"make it again with `{COMMAND}`"
                ) from error

    @cached_property
    def report(self) -> Report:
        """What was taken, skipped, rounded when the store was written, and left out by filters."""
        refused = (Skipped(one.path, one.reason) for one in self.refused)
        return Report.of(self.architectures, [*self.skipped, *refused], self.left_out)

    def trusting(self, architecture: Architecture | None) -> "TokenStore":
        """The same store, whose networks may be built by code that the user vouches for.

        No file can vouch for itself, so that what a store says of `trusted` is not believed.
        """
        if architecture is None or not architecture.trusted:
            return self
        shelves = tuple(
            replace(shelf, architecture=architecture)
            if shelf.architecture == architecture
            else shelf
            for shelf in self.architectures
        )
        return replace(self, architectures=shelves)

    @property
    def d_token(self) -> int:
        """Entries per token, the same on all shelves."""
        return self.architectures[0].layout.d_token

    def __len__(self) -> int:
        """Number of checkpoints."""
        return sum(len(shelf) for shelf in self.architectures)

    def select(
        self,
        split: str | None = None,
        num_models: int | None = None,
        epochs: Sequence[int] | None = None,
    ) -> list[np.ndarray]:
        """Rows of each shelf; arguments and errors as `Shelf.select`, counted over all shelves."""
        models = np.concatenate([shelf.models for shelf in self.architectures])
        stored = np.concatenate([shelf.epochs for shelf in self.architectures])
        chosen = np.ones(len(models), bool) if self.kept is None else self.kept.copy()
        names = chosen_models(models[chosen], split, num_models, self.name)
        chosen[chosen] = chosen_epochs(stored[chosen], epochs, self.name)
        chosen &= np.isin(models, names)
        ends = np.cumsum([len(shelf) for shelf in self.architectures])[:-1]
        return [np.flatnonzero(part) for part in np.split(chosen, ends)]

    def filtered(self, filters: Mapping[str, Filter]) -> "TokenStore":
        """The same store, of which `select` chooses only the rows that all filters keep.

        Args:
            filters: by name, see `mzsane.zoos.filters`; each sees what those before it have kept.

        Raises:
            ValueError: a filter that does not fit, or that leaves nothing.
        """
        kept = np.ones(len(self), bool) if self.kept is None else self.kept.copy()
        columns = {name: column[kept] for name, column in self._columns().items()}
        try:
            rows, account = keep(columns, filters)
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from error
        kept[kept] = rows
        told = tuple(f"{name}: {words}" for name, words in account.items())
        return replace(self, kept=kept, left_out=self.left_out + told)

    def _columns(self) -> dict[str, np.ndarray]:
        """What is known of every row, over all shelves; what a shelf does not know is missing."""
        shelves = self.architectures
        names = {name: None for shelf in shelves for name in shelf.properties}
        columns = {
            "model": np.concatenate([shelf.models for shelf in shelves]),
            "epoch": np.concatenate([shelf.epochs for shelf in shelves]),
        }
        for name in names:
            known = [shelf.properties[name] for shelf in shelves if name in shelf.properties]
            missing = "" if any(column.dtype.kind == "U" for column in known) else np.nan
            columns[name] = np.concatenate(
                [shelf.properties.get(name, np.full(len(shelf), missing)) for shelf in shelves]
            )
        return columns

    def references(self) -> dict[str, dict[str, Tensor]]:
        """The models to which others were aligned, by the fingerprint of their architecture.

        Given to `write_store`, they make another source of the same architectures share the
        canonical form of this one.
        """
        owners = {
            shelf.frame: shelf.state(shelf.reference)
            for shelf in self.architectures
            if shelf.reference is not None
        }
        return {
            shelf.architecture.fingerprint: owners[shelf.frame]
            for shelf in self.architectures
            if shelf.architecture is not None and shelf.frame in owners
        }

    def verify(self) -> None:
        """Read all weights and compare them with the hash taken when they were written.

        Raises:
            ValueError: if a byte has changed.
        """
        if content_hash(self.architectures) != self.content_hash:
            raise ValueError(
                f"{self.path}: its content has changed since it was written; remove it, and "
                f"make it again with `{COMMAND}`"
            )


def content_hash(shelves: Sequence[Shelf]) -> str:
    """SHA-256 over the digests of all shelves."""
    return sha256("".join(shelf.digest() for shelf in shelves).encode()).hexdigest()


def _check_format(path: Path, file: h5py.File) -> None:
    if file.attrs.get("format") != FORMAT:
        raise ValueError(f"{path}: an HDF5 file, but no token store; give another file")
    if (version := int(file.attrs["format_version"])) != FORMAT_VERSION:
        raise ValueError(
            f"{path}: token store of format {version}, this version reads format {FORMAT_VERSION}; "
            f"remove it, and make it again with `{COMMAND}`"
        )


def _fields(file: h5py.File) -> dict[str, Any]:
    return {
        "name": file.attrs["name"],
        "settings": json.loads(file.attrs["settings"]),
        "provenance": json.loads(get_text(file, "provenance")),
        "skipped": tuple(Skipped(*each) for each in json.loads(get_text(file, "skipped"))),
        "refused": tuple(Refused(*each) for each in json.loads(get_text(file, "refused"))),
        "content_hash": file.attrs.get("content_hash", ""),
    }


def _shelves(path: Path, file: h5py.File) -> tuple[Shelf, ...]:
    groups = file["shelves"]
    name = file.attrs["name"]
    return tuple(_shelf(path, name, groups[str(number)]) for number in range(len(groups)))


def _shelf(path: Path, source: str, group: h5py.Group) -> Shelf:
    weights, reference = group["weights"], int(group.attrs["reference"])
    symmetry, architecture = get_text(group, "symmetry"), get_text(group, "architecture")
    return Shelf(
        path=path,
        source=source,
        layout=Layout.from_json(get_text(group, "layout")),
        symmetry=Symmetry.from_json(symmetry) if symmetry else None,
        untraced=get_text(group, "untraced"),
        by_hand=get_text(group, "by_hand"),
        architecture=Architecture.from_json(architecture) if architecture else None,
        recognised=tuple(json.loads(get_text(group, "recognised"))),
        reference=None if reference < 0 else reference,
        frame=group.attrs["frame"],
        models=get_strings(group, "models"),
        epochs=group["epochs"][()],
        integers=group["integers"][()],
        properties=get_columns(group["properties"]),
        ledger=Ledger(*(group[name][()] for name in Ledger._fields)),
        offset=weights.id.get_offset() or 0,
        dtype=weights.dtype.name,
    )
