"""Image sets are fixed, whole and alike: same arguments, same images, one normalisation."""

from functools import partial

import pytest
import torch

from mzsane.images import digits, mnist5k, printed, shapes
from mzsane.images.imageset import MEAN, STD

SETS = {
    "digits": (digits, (1258, 180, 359)),
    "mnist5k": (mnist5k, (3500, 500, 1000)),
    "printed": (partial(printed, images=600), (420, 60, 120)),
    "shapes": (partial(shapes, images=600), (420, 60, 120)),
}
CHANNELS = {"shapes": 3}  # the others are grey


@pytest.fixture(scope="module", params=SETS)
def drawn(request, tmp_path_factory):
    """A set as it was drawn, its maker with a cache, and the sizes of its splits."""
    make, sizes = SETS[request.param]
    make = partial(make, tmp_path_factory.mktemp(request.param))
    return make(), make, sizes


def splits(images):
    return images.train, images.validation, images.test


def same(first, second):
    return all(
        torch.equal(a, b)
        for one, other in zip(splits(first), splits(second), strict=True)
        for a, b in zip(one, other, strict=True)
    )


def test_splits_have_the_published_shape_and_fixed_sizes(drawn):
    images, _, sizes = drawn
    assert images.classes == 10
    for split, size in zip(splits(images), sizes, strict=True):
        assert split.images.shape == (size, CHANNELS.get(images.name, 1), 28, 28)
        assert split.images.dtype == torch.float32
        assert split.labels.shape == (size,)
        assert split.labels.dtype == torch.int64


def test_every_split_has_ten_classes(drawn):
    for split in splits(drawn[0]):
        assert split.labels.unique().tolist() == list(range(10))


def test_pixels_are_eight_bits_under_one_normalisation(drawn):
    mean, std = (0.5, 0.5) if drawn[0].name == "shapes" else (MEAN, STD)
    for split in splits(drawn[0]):
        shades = (split.images * std + mean) * 255
        torch.testing.assert_close(shades, shades.round(), atol=1e-3, rtol=0)
        assert shades.min() > -1e-3
        assert 200 < shades.max() < 255 + 1e-3


def test_objects_are_bright_on_dark_ground(drawn):
    images = drawn[0].train.images
    assert images[..., 10:18, 10:18].mean() > images[..., :3, :].mean() + 0.5


def test_the_cache_gives_the_same_images(drawn):
    images, make, _ = drawn
    assert same(make(), images)


@pytest.mark.parametrize("make", [digits, partial(printed, images=40), partial(shapes, images=40)])
def test_images_are_a_function_of_the_arguments(make):
    state = torch.random.get_rng_state()
    assert same(make(), make())
    assert not same(make(seed=1), make())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("make", [printed, shapes])
def test_rendered_images_do_not_depend_on_how_many_there_are(make):
    few, more = make(images=10), make(images=20)
    all_of = lambda images: torch.cat([split.images for split in splits(images)])  # noqa: E731
    assert {i.numpy().tobytes() for i in all_of(few)} < {i.numpy().tobytes() for i in all_of(more)}


@pytest.mark.parametrize("make", [digits, partial(printed, images=40)])
def test_another_shape_shows_the_same_images(make):
    small, large = make(), make(shape=(3, 56, 56))
    assert large.test.images.shape[1:] == (3, 56, 56)
    assert torch.equal(small.test.labels, large.test.labels)
    assert torch.equal(large.test.images[:, :1], large.test.images[:, 2:])
    shrunk = torch.nn.functional.avg_pool2d(large.test.images[:, :1], 2)
    assert (shrunk - small.test.images).abs().mean() < 0.1


def test_grey_shapes_are_the_coloured_ones_in_grey():
    coloured, grey = shapes(images=20), shapes(images=20, shape=(1, 28, 28))
    luma = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    expected = (coloured.train.images * luma).sum(1, keepdim=True)
    torch.testing.assert_close(grey.train.images, expected, atol=0.5 / 127, rtol=0)


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (partial(digits, shape=(1, 8, 8)), r"shape=\[1, 8, 8\]"),
        (partial(mnist5k, shape=(2, 28, 28)), r"shape=\[2, 28, 28\]"),
        (partial(printed, shape=(28, 28)), r"shape=\[28, 28\]"),
        (partial(printed, images=9), "images=9"),
        (partial(shapes, images=9), "images=9"),
    ],
)
def test_sets_that_cannot_be_shown_are_refused_in_one_sentence(make, key):
    with pytest.raises(ValueError, match=f"{key} .*take") as error:
        make()
    assert "\n" not in str(error.value)
