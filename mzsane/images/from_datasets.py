"""Image sets of the `datasets` library: local files, or repositories of the Hugging Face hub."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mzsane.images.imageset import ImageSet, Normalisation, assemble
from mzsane.images.opening import open_files, open_hub, stamp
from mzsane.images.showing import require_shape
from mzsane.images.tables import Columns, read


def from_datasets(
    source: Path | str,
    name: str,
    shape: Sequence[int],
    classes: int,
    mean: Sequence[float] = (0.5,),
    std: Sequence[float] = (0.5,),
    subset: str | None = None,
    revision: str | None = None,
    image: str = "image",
    label: str = "label",
    train: str = "train",
    validation: str | None = None,
    test: str | None = "test",
    held_out: int = 0,
    crop: bool = False,
    cache: Path | str | None = None,
    seed: int = 0,
) -> ImageSet:
    """Labelled images from files or from the hub; once cached, neither is needed.

    Files are parquet, arrow, a folder of images, or what `datasets` saved. In a folder, splits are
    found by names such as ``train-00000.parquet`` or ``train/cat/1.png``; a single file is one
    split called ``train``. No code of a repository is run.

    Args:
        source: path of a file or folder, or else a repository such as ``ylecun/mnist``.
        name: what tables and files call the set.
        shape: channels (1 or 3), height and width the images are shown at.
        classes: number of classes.
        mean: of the normalisation of pixels in [0, 1], for each channel or for all.
        std: of the normalisation.
        subset: of a repository, which calls it a configuration; None takes the default one.
        revision: commit or tag of a repository; None takes the newest.
        image: column of the images.
        label: column of the labels, whole numbers in [0, classes).
        train: name of the split that models are trained on.
        validation: name of the validation split; None holds out training images for it, as does
            None as the test split where there is a validation split.
        test: name of the test split; without it and a validation split, the training images are
            dealt out as 70 % train, 10 % validation and 20 % test.
        held_out: training images, drawn by the seed, that are held out; 0 takes a tenth.
        crop: cut images down to the shape around their centre instead of resizing them.
        cache: folder for the prepared images; None prepares them anew.
        seed: decides what is held out or dealt out.

    Raises:
        FileNotFoundError: there is nothing at the path, or the repository cannot be fetched.
        ValueError: splits, columns or labels are not as described, or the shape cannot be shown.
    """
    columns = Columns(
        name, image, label, train, validation, test, held_out, crop, shape, classes, seed
    )
    require_shape(name, shape)
    normalisation = Normalisation(mean, std)
    _require_channels(name, normalisation, shape[0])
    origin, fetch = _located(Path(source), name, subset, revision)
    arguments = origin | vars(columns) | {"shape": list(shape)}
    return assemble(name, cache, arguments, partial(read, columns, fetch), classes, normalisation)


def _located(
    source: Path, name: str, subset: str | None, revision: str | None
) -> tuple[dict[str, Any], Callable[[str], Any]]:
    """What tells a source from others, and how it is opened."""
    if source.exists():
        origin = {"path": str(source.resolve()), "files": stamp(source)}
        return origin, partial(open_files, source)
    if len(source.parts) != 2:  # no owner/repository
        raise FileNotFoundError(
            f"{name}: there is no {source}; give a file, a folder or a repository of the hub"
        )
    repository = source.as_posix()
    origin = {"repository": repository, "subset": subset, "revision": revision}
    return origin, lambda scratch: open_hub(name, repository, subset, revision)


def _require_channels(name: str, normalisation: Normalisation, channels: int) -> None:
    for field, values in normalisation._asdict().items():
        if len(values) not in (1, channels):
            raise ValueError(
                f"{name}: {field}={list(values)} is neither one number nor one for each of "
                f"{channels} channels"
            )
