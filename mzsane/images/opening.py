"""Tables of images, from files or from the Hugging Face hub, through the `datasets` library."""

import hashlib
from pathlib import Path
from typing import Any

READERS = {".parquet": "parquet", ".arrow": "arrow"}


def open_files(path: Path, scratch: str) -> Any:
    """The tables of a file or folder by split.

    Args:
        path: of something that is there.
        scratch: folder for what must stay while the tables are read.

    Raises:
        ValueError: it is no table, or `datasets` is not installed.
    """
    datasets = _library()
    if any((path / name).exists() for name in ("dataset_dict.json", "dataset_info.json")):
        tables = datasets.load_from_disk(str(path))
    elif path.is_dir():
        tables = datasets.load_dataset(str(path), cache_dir=scratch)
    elif path.suffix in READERS:
        reader = READERS[path.suffix]
        tables = datasets.load_dataset(reader, data_files=str(path), cache_dir=scratch)
    else:
        raise ValueError(
            f"{path} is no table of images; give {', '.join(READERS)} or a folder of images"
        )
    return tables if isinstance(tables, dict) else {"train": tables}


def open_hub(name: str, repository: str, subset: str | None, revision: str | None) -> Any:
    """The tables of a repository by split, by way of the library's own cache.

    Raises:
        FileNotFoundError: they cannot be fetched.
        ValueError: `datasets` is not installed.
    """
    datasets = _library()
    try:
        return datasets.load_dataset(repository, subset, revision=revision)
    except (OSError, datasets.exceptions.DatasetsError) as error:
        reason = str(error).partition("\n")[0]
        raise FileNotFoundError(
            f"{name}: {repository} cannot be fetched from the Hugging Face hub ({reason}); check "
            "its name and the network, or give the path of a copy as images.source"
        ) from error


def _library() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ValueError(
            "image sets from files and the hub need the library datasets: pip install 'mzsane[hub]'"
        ) from error
    return datasets


def stamp(path: Path) -> str:
    """Changes when a file does, by name, size or time."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    seen = [
        (file.relative_to(path).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
        for file in files
        if file.is_file()
    ]
    return hashlib.sha256(repr(seen).encode()).hexdigest()
