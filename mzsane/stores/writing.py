"""From a stream of models to one file."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import Tensor

from mzsane.progress import Progress, silent
from mzsane.stores.canonical import align as align_pile
from mzsane.stores.crew import Crew
from mzsane.stores.filing import Contents, file_store
from mzsane.stores.format import DTYPES, FORMAT_VERSION
from mzsane.stores.frames import Frame, frames_of
from mzsane.stores.gathering import gather
from mzsane.stores.journal import Journal
from mzsane.stores.listing import Listing
from mzsane.stores.piles import Pile, piles_of
from mzsane.stores.reading import TokenStore
from mzsane.stores.report import Report, first_reasons
from mzsane.symmetry.given import Given
from mzsane.zoos import ModelRecord, Skipped


def write_store(
    path: str | Path,
    records: Iterable[ModelRecord | Skipped],
    *,
    name: str,
    size: int = 0,
    scheme: str = "channel",
    batchnorm: str = "rows",
    dtype: str = "float32",
    align: bool = True,
    references: Mapping[str, Mapping[str, Tensor]] | None = None,
    symmetry: Mapping[str, Given] | None = None,
    provenance: Mapping[str, Any] | None = None,
    extend: TokenStore | None = None,
    crew: Crew | None = None,
    progress: Progress = silent,
) -> Report:
    """Store every model once, in canonical form, and say what became of each.

    Weights are read, aligned and copied a few at a time, in a folder next to `path`; the file
    appears under its name when it is complete. A run that is killed leaves the folder: the next one
    with the same settings goes on from there and makes the same file, where records have a stamp.

    Args:
        path: of the store; replaced if it exists.
        records: the zoo's models, and those that could not be read.
        name: of the source.
        size: token size; 0 takes the largest row of any architecture.
        scheme: see `Layout`.
        batchnorm: see `Layout`.
        dtype: ``float32`` or ``float16``.
        align: permute models to be similar to a reference; see `frames_of` for which.
        references: state dicts by fingerprint of their architecture, which replace our choice;
            `TokenStore.references` gives those of another source.
        symmetry: groups by hand, see `Symmetry.of_places`, for every architecture that has these
            tensors; they are proven where its network can be built. None traces.
        provenance: anything that JSON can hold: folder, digest, licence.
        extend: a store of the same settings, whose rows are carried over as they are; records
            that it holds already are not read. None begins with nothing.
        crew: who reads and aligns; None works in this process.
        progress: is told how far we are.

    Raises:
        ValueError: an unknown setting, a reference or groups by hand that do not fit, or no model
            left to store.
        OSError: the store cannot be written, for example because the disk is full; what was there
            before stays as it was.
    """
    if dtype not in DTYPES:
        raise ValueError(f"store dtype {dtype!r}: choose from {', '.join(DTYPES)}")
    path, crew, listing = Path(path), crew or Crew(), Listing.of(records)
    if extend is not None:
        listing = listing.without(extend)
    tokens = {"size": size, "scheme": scheme, "batchnorm": batchnorm}
    settings = tokens | {"dtype": dtype}
    plan = _plan(settings, align, references, symmetry, provenance, extend)
    with _workplace(path) as folder:
        journal = _journal(folder, plan, listing, dtype)
        _gather(listing, journal, settings, name, crew, progress)
        old = extend.architectures if extend else ()
        piles = piles_of(journal, listing.records, old, dtype)
        refused = [*(extend.refused if extend else ()), *journal.refused.values()]
        if not piles:
            reasons = [*listing.skipped, *(Skipped(one.path, one.reason) for one in refused)]
            raise ValueError(f"{name}: no model to store; {first_reasons(reasons) or 'none given'}")
        frames = frames_of(piles, align, references or {}, symmetry)
        journal.begin_aligning(listing.digest)
        _align(piles, frames, journal, name, crew, progress)
        piles = piles_of(journal, listing.records, old, dtype)
        contents = Contents(
            name, settings, provenance or {}, piles, frames, listing.skipped, sorted(refused)
        )
        _file(contents, folder / "store.h5", progress)
        (folder / "store.h5").replace(path)
    return TokenStore.open(path).report


def _plan(*settings: Any) -> str:
    """Digest of all that decides a store, besides the zoo."""
    return sha256(repr([FORMAT_VERSION, *map(_told, settings)]).encode()).hexdigest()


def _told(value: Any) -> Any:
    """Something whose representation is the same in another process."""
    if isinstance(value, TokenStore):
        return value.content_hash
    if isinstance(value, Tensor):
        return sha256(value.numpy().tobytes()).hexdigest()
    if isinstance(value, Mapping):
        return [(str(key), _told(each)) for key, each in sorted(value.items())]
    return value


def _journal(folder: Path, plan: str, listing: Listing, dtype: str) -> Journal:
    """That of a killed run, as far as it serves, or an empty one."""
    journal = Journal.resume(folder, plan)
    if journal is None:
        shutil.rmtree(folder)
        folder.mkdir()
        return Journal.start(folder, plan)
    journal.keep(listing.records, listing.digest, dtype)
    return journal


def _gather(
    listing: Listing,
    journal: Journal,
    settings: Mapping[str, Any],
    name: str,
    crew: Crew,
    tell: Progress,
) -> None:
    tokens, total = dict(settings), len(listing.records)
    dtype, done = tokens.pop("dtype"), len(journal.rows) + len(journal.refused)
    for count in gather(listing.records, journal, tokens, dtype, crew):
        done += count
        tell(f"reading {name}", done, total)


def _align(
    piles: list[Pile],
    frames: list[Frame],
    journal: Journal,
    name: str,
    crew: Crew,
    tell: Progress,
) -> None:
    total = sum(
        len(p.waiting) for p, f in zip(piles, frames, strict=True) if f.reference is not None
    )
    done = 0
    for pile, frame in zip(piles, frames, strict=True):
        for count in align_pile(pile, frame, journal, crew):
            done += count
            tell(f"aligning {name}", done, total)


def _file(contents: Contents, file: Path, tell: Progress) -> None:
    total, done = sum(len(pile.members) for pile in contents.piles), 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        tell(f"storing {contents.name}", done, total)

    file_store(contents, file, told)


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """A folder next to the file, on the same disk; kept for the next run if this one is cut short.

    Raises:
        OSError: it cannot be written; in one sentence.
    """
    folder = path.with_name(f".{path.name}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except ValueError:
        shutil.rmtree(folder)
        raise
    except OSError as error:
        raise OSError(
            f"{path}: cannot be written ({error}); make room, or give another store_dir; the same "
            "command goes on from here, and an older store is as it was"
        ) from error
    shutil.rmtree(folder)
