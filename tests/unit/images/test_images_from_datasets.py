"""Tables of images are read as described, split once and for all, and refused in one sentence."""

import sys

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from mzsane.images import from_datasets

DESCRIBED = {"name": "blocks", "shape": (3, 12, 16), "classes": 3}


def table(count, seed=0, height=12, width=16):
    """Images of few colours and their labels, as `datasets` holds them."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    rows = {"image": [Image.fromarray(p) for p in pixels], "label": np.arange(count) % 3}
    return pixels, datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())


def bytes_of(split):
    return [((image * 0.5 + 0.5) * 255).round().byte().numpy().tobytes() for image in split.images]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Parquet files of a training and a test split; the training images."""
    path = tmp_path_factory.mktemp("tables")
    pixels, train = table(30)
    train.to_parquet(path / "train-00000.parquet")
    table(9, seed=1)[1].to_parquet(path / "test-00000.parquet")
    return path, pixels


def test_parquet_gives_every_image_once_with_its_label(folder):
    path, pixels = folder
    images = from_datasets(path, **DESCRIBED, held_out=6)
    assert [len(split.labels) for split in (images.train, images.validation, images.test)] == [
        *(24, 6, 9)
    ]
    found = [*bytes_of(images.train), *bytes_of(images.validation)]
    labels = torch.cat([images.train.labels, images.validation.labels]).tolist()
    expected = {p.transpose(2, 0, 1).tobytes(): i % 3 for i, p in enumerate(pixels)}
    assert dict(zip(found, labels, strict=True)) == expected


def test_the_seed_decides_what_is_held_out(folder):
    first, again, other = (
        set(bytes_of(from_datasets(folder[0], **DESCRIBED, seed=seed).validation))
        for seed in (0, 0, 1)
    )
    assert len(first) == 3  # a tenth
    assert first == again
    assert first != other


def test_a_single_file_is_dealt_out(folder):
    images = from_datasets(folder[0] / "train-00000.parquet", **DESCRIBED, test=None)
    assert [len(s.labels) for s in (images.train, images.validation, images.test)] == [21, 3, 6]


def test_what_datasets_saved_is_read(tmp_path):
    table(20)[1].save_to_disk(tmp_path / "saved")
    images = from_datasets(tmp_path / "saved", **DESCRIBED, test=None)
    assert len(images.train.labels) == 14


def test_a_folder_of_images_is_read(tmp_path):
    for name, shade in (("bright", 200), ("dark", 50)):
        for split in ("train", "test"):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(4):
                Image.new("L", (16, 12), shade).save(tmp_path / split / name / f"{i}.png")
    images = from_datasets(tmp_path, "shades", (1, 12, 16), 2, held_out=2)
    shades = (images.test.images.mean((1, 2, 3)) * 0.5 + 0.5) * 255
    assert shades.tolist() == pytest.approx([200 - 150 * int(c) for c in images.test.labels], 1e-3)


def test_images_are_greyed_resized_or_cropped_to_the_shape(folder):
    path, pixels = folder
    file = path / "train-00000.parquet"
    grey = from_datasets(file, "grey", (1, 24, 32), 3, test=None)
    assert grey.train.images.shape[1:] == (1, 24, 32)
    cropped = from_datasets(file, "cropped", (3, 12, 12), 3, test=None, crop=True)
    middles = {p[:, 2:14].transpose(2, 0, 1).tobytes() for p in pixels}
    assert set(bytes_of(cropped.train)) < middles


def test_the_cache_needs_neither_files_nor_library(folder, tmp_path, monkeypatch):
    first = from_datasets(folder[0], **DESCRIBED, cache=tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    again = from_datasets(folder[0], **DESCRIBED, cache=tmp_path)
    assert torch.equal(first.train.images, again.train.images)


def test_changed_files_are_read_again(tmp_path):
    for count in (20, 30):
        table(count)[1].to_parquet(tmp_path / "train.parquet")
        images = from_datasets(
            tmp_path / "train.parquet", **DESCRIBED, test=None, cache=tmp_path / "cache"
        )
        assert len(images.train.labels) == 0.7 * count


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 2}, "column 'label' holds more than whole numbers from 0 to 1"),
        ({"label": "class"}, "no column 'class'; choose among image, label"),
        ({"test": "valid"}, "no split 'valid'; name one of"),
        ({"held_out": 30}, "held_out=30 of 30"),
        ({"mean": (0.5, 0.5)}, "mean=.* neither one number nor one for each of 3"),
        ({"shape": (3, 4, 4)}, r"shape=\[3, 4, 4\] cannot be shown"),
    ],
)
def test_what_is_not_as_described_is_told_in_one_sentence(folder, change, message):
    with pytest.raises(ValueError, match=f"blocks: .*{message}") as error:
        from_datasets(folder[0], **(DESCRIBED | change))
    assert "\n" not in str(error.value)


def test_a_missing_path_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no .*nowhere; give a file"):
        from_datasets(tmp_path / "nowhere", **DESCRIBED)


def test_a_file_that_is_no_table_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"notes\.txt is no table of images"):
        from_datasets(tmp_path / "notes.txt", **DESCRIBED)


def test_no_network_is_one_sentence(monkeypatch):
    def unreachable(*args, **kwargs):
        raise ConnectionError("Couldn't reach 'some/where' on the Hub\nTraceback")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    with pytest.raises(FileNotFoundError, match=r"some/where cannot be fetched .*network") as error:
        from_datasets("some/where", **DESCRIBED)
    assert "\n" not in str(error.value)


def test_a_missing_library_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ValueError, match=r"pip install 'mzsane\[hub\]'"):
        from_datasets("some/where", **DESCRIBED)
