"""A cache file is whole and of the same arguments, or it is replaced with a warning."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mzsane.images.imageset import MEAN, STD, Drawn, Normalisation, assemble


def numbered(count):
    """Images that tell their number, and labels."""
    numbers = np.arange(count)
    pixels = np.zeros((count, 1, 4, 4), np.uint8)
    pixels[:, 0, 0, 0], pixels[:, 0, 0, 1] = numbers // 256, numbers % 256
    return Drawn(pixels, numbers % 10)


def numbers_of(split):
    shades = ((split.images * STD + MEAN) * 255).round().long()
    return (shades[:, 0, 0, 0] * 256 + shades[:, 0, 0, 1]).tolist()


def splits(images):
    return images.train, images.validation, images.test


@pytest.fixture
def counted():
    """A way to draw images, and how often it was gone."""
    calls = []
    return lambda: (calls.append(1), numbered(50))[1], calls


@given(count=st.integers(10, 400), seed=st.integers(0, 9))
def test_every_image_falls_into_one_split_with_its_label(count, seed):
    images = assemble("numbered", None, {"seed": seed}, lambda: numbered(count))
    found = [numbers_of(split) for split in splits(images)]
    assert sorted(itertools.chain(*found)) == list(range(count))
    assert [len(part) / count for part in found] == pytest.approx([0.7, 0.1, 0.2], abs=1 / count)
    for part, split in zip(found, splits(images), strict=True):
        assert [number % 10 for number in part] == split.labels.tolist()


def test_images_whose_split_is_known_stay_in_it():
    parts = np.arange(60) % 3
    drawn = Drawn(*numbered(60)[:2], parts)
    images = assemble("numbered", None, {"seed": 0}, lambda: drawn)
    for part, split in enumerate(splits(images)):
        assert sorted(numbers_of(split)) == list(range(part, 60, 3))
        assert numbers_of(split) != sorted(numbers_of(split))


def test_every_channel_has_its_own_normalisation():
    pixels = np.full((10, 3, 4, 4), 51, np.uint8)
    drawn = Drawn(pixels, np.arange(10))
    normalisation = Normalisation((0.2, 0.0, 0.1), (1.0, 0.5, 0.1))
    images = assemble("flat", None, {"seed": 0}, lambda: drawn, normalisation=normalisation)
    assert images.train.images[0, :, 0, 0].tolist() == pytest.approx([0.0, 0.4, 1.0], abs=1e-6)


@pytest.mark.parametrize(("name", "arguments"), [("numbered", {"seed": 1}), ("other", {"seed": 0})])
def test_a_cache_of_other_arguments_is_not_taken(counted, tmp_path, name, arguments):
    draw, calls = counted
    assemble("numbered", tmp_path, {"seed": 0}, draw)
    assemble(name, tmp_path, arguments, draw)
    assert len(calls) == 2
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("keep", [0, 5, 100, -1], ids=["empty", "no header", "header", "a byte"])
def test_a_damaged_cache_warns_and_is_replaced(counted, tmp_path, keep):
    draw, calls = counted
    whole = assemble("numbered", tmp_path, {"seed": 0}, draw)
    path = next(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.warns(UserWarning, match=f"{path}.* is replaced"):
        again = assemble("numbered", tmp_path, {"seed": 0}, draw)
    assert torch.equal(again.train.images, whole.train.images)
    assemble("numbered", tmp_path, {"seed": 0}, draw)
    assert len(calls) == 2


def test_a_cache_cut_off_while_it_is_written_never_shows(counted, tmp_path, monkeypatch):
    def cut_off(path, content):
        with path.open("wb") as file:
            file.write(content[:100])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", cut_off)
    with pytest.raises(OSError, match="no space"):
        assemble("numbered", tmp_path, {"seed": 0}, counted[0])
    assert list(tmp_path.iterdir()) == []


def test_a_cache_can_be_read_by_others(counted, tmp_path):
    (tmp_path / "plain").touch()
    assemble("numbered", tmp_path / "images", {"seed": 0}, counted[0])
    written = next((tmp_path / "images").iterdir())
    assert written.stat().st_mode == (tmp_path / "plain").stat().st_mode
