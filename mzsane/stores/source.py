"""Where models come from, and where their store lies."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mzsane.architectures import Architecture
from mzsane.images import ImageSet
from mzsane.progress import Progress
from mzsane.symmetry.given import Given, check_given
from mzsane.zoos import Builder, ModelRecord, Skipped, read_zoo

_TRANSFER = {"folder", "mirror", "retries", "pause", "timeout"}  # decide nothing of what is read
_EXAMPLE = (
    "{_target_: mzsane.architectures.Architecture, target: module.Class, arguments: {}, "
    "input_shape: [1, 28, 28], classes: 10, trusted: true}"
)


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
        symmetry: groups given by hand, for networks that cannot be built or traced, as in
            ``{hidden: [fc1.weight:0, fc1.bias:0, fc2.weight:1]}``: each lists the places,
            ``tensor:axis``, that have the same channels. `Symmetry.of_places` says what else can
            be written. None traces the networks.
        images: loads the image set that the models were trained on; None if it is not at hand.

    Raises:
        ValueError: `symmetry` lists no places.
    """

    store: str | Path
    reader: Callable[[], Iterator[ModelRecord | Skipped]]
    builder: Builder | None = None
    download: Download | None = None
    symmetry: Mapping[str, Given] | None = None
    images: Callable[[], ImageSet] | None = None

    def __post_init__(self) -> None:
        """Refuses groups that are none before the zoo is read."""
        if self.symmetry is not None:
            check_given(self.symmetry)

    @classmethod
    def of_folder(
        cls,
        path: str | Path | None,
        store_dir: str | Path,
        epochs: Sequence[int] | None = None,
        format: str = "auto",
        architecture: Any = None,
        properties: str | Path | None = None,
        symmetry: Mapping[str, Given] | None = None,
        trust_pickle: bool = False,
    ) -> "Source":
        """Checkpoints of one's own, whatever their layout.

        The store is named after the folder, and a digest of where it is: folders of one name get
        stores of their own.

        Args:
            path: a folder, an archive or a repository, as `read_zoo` takes it.
            store_dir: where the store goes.
            epochs: see `read_zoo`, like all that follows but `symmetry`.
            format: how the checkpoints are laid out.
            architecture: of all models, an `Architecture`.
            properties: a table of them.
            symmetry: groups given by hand, see `Source`.
            trust_pickle: run code that checkpoints contain.

        Raises:
            ValueError: no path, or an architecture that is none.
        """
        if not path:
            raise ValueError("which folder is read? set zoo.path=DIR")
        if not isinstance(architecture, Architecture | None):
            raise ValueError(
                f"zoo.architecture: {str(architecture)[:60]!r} says not how to build a network; "
                f"give {_EXAMPLE}"
            )
        place = Path(path).resolve() if Path(path).exists() else Path(path)
        digest = sha256(str(place).encode()).hexdigest()[:8]
        reader = partial(
            read_zoo, path, format=format, epochs=epochs, architecture=architecture,
            properties=properties, trust_pickle=trust_pickle,
        )  # fmt: skip
        return cls(Path(store_dir) / f"{place.name}-{digest}.h5", reader, symmetry=symmetry)

    @property
    def settings(self) -> dict[str, Any]:
        """How the reader was told to read, as plain values."""
        return plain(getattr(self.reader, "keywords", {}))

    @property
    def architecture(self) -> Architecture | None:
        """Of all models, if the reader was told."""
        return getattr(self.reader, "keywords", {}).get("architecture")

    @property
    def origin(self) -> dict[str, Any]:
        """What decides the models, as plain values: how they are built or what is downloaded."""
        settings = vars(self.download) if self.download else {}
        return plain(
            {
                "built": self.builder.settings if self.builder else None,
                "downloaded": {k: v for k, v in settings.items() if k not in _TRANSFER} or None,
            }
        )

    @property
    def checksums(self) -> dict[str, Any]:
        """Of what was downloaded, as far as they are known."""
        folder = getattr(self.download, "folder", None)
        file = Path(folder) / "checksums.json" if folder else None
        return json.loads(file.read_text()) if file and file.exists() else {}


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As they come back from JSON; what JSON cannot hold as text."""
    return json.loads(json.dumps(dict(values), default=str))
