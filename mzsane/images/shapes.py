"""Coloured shapes on noisy ground, rendered from a seed."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from mzsane.images.imageset import Drawn, ImageSet, Normalisation, assemble
from mzsane.images.showing import require_shape, shown

SIDE = 28
ENLARGED = 3 * SIDE  # shapes are drawn at three times their size, then averaged
RENDERING = 2  # purpose of the random draw, see docs/design.md
REVISION = 1  # of what is drawn; raise it with every change, so that cached images are left behind
HALF = Normalisation((0.5,), (0.5,))  # of the published zoos of small colour images

CLASSES = (
    *("triangle", "square", "diamond", "disc", "ring"),
    *("star", "plus", "saltire", "crescent", "bar"),
)


def shapes(
    cache: Path | str | None = None,
    seed: int = 0,
    images: int = 3600,
    shape: Sequence[int] = (3, SIDE, SIDE),
) -> ImageSet:
    """Ten bright shapes of any hue before dark, noisy ground, each placed and turned at random.

    Classes are those of `CLASSES`, in that order. Image `i` is a function of (seed, i).

    Args:
        cache: folder for the prepared images; None renders them anew.
        seed: decides the images and the splits.
        images: how many, at least 10.
        shape: channels (1 or 3), height and width the images are shown at.

    Raises:
        ValueError: if there are too few images to split, or the shape cannot be shown.
    """
    if images < 10:
        raise ValueError(f"shapes: images={images} is too few for three splits; take 10 or more")
    require_shape("shapes", shape)
    arguments = {"seed": seed, "images": images, "shape": list(shape), "revision": REVISION}
    draw = partial(_draw, seed, images, shape)
    return assemble("shapes", cache, arguments, draw, normalisation=HALF)


def _draw(seed: int, images: int, shape: Sequence[int]) -> Drawn:
    """All images, one class after the other in turn."""
    labels = np.arange(images) % len(CLASSES)
    pixels = [_render(int(label), [seed, RENDERING, i]) for i, label in enumerate(labels)]
    return Drawn(shown(np.stack(pixels), shape), labels.astype(np.int64))


def _render(label: int, key: list[int]) -> UInt8[np.ndarray, "3 height width"]:
    """One shape of 7 to 11 pixels' radius, up to 3 off the centre, turned by up to 15 degrees."""
    rng = np.random.default_rng(key)
    radius, turned = rng.uniform(7, 11), np.exp(1j * rng.uniform(-np.pi / 12, np.pi / 12))
    right, down = SIDE / 2 + rng.uniform(-3, 3, size=2)
    rows, columns = (np.mgrid[:ENLARGED, :ENLARGED] + 0.5) * SIDE / ENLARGED
    away = (columns - right + 1j * (down - rows)) / radius * turned
    mask = _inside(CLASSES[label], away).reshape(SIDE, 3, SIDE, 3).mean(axis=(1, 3))
    ground = rng.uniform(0, 0.4, size=(3, 1, 1))
    ink = rng.dirichlet(np.ones(3)).reshape(3, 1, 1) * rng.uniform(1, 3)
    noise = rng.uniform(0, 0.15) * rng.standard_normal((3, SIDE, SIDE))
    image = ground + (ink.clip(0, 1) - ground) * mask + noise
    return (255 * np.clip(image, 0, 1)).round().astype(np.uint8)


def _inside(shape: str, away: np.ndarray) -> np.ndarray:
    """Where a shape of radius 1 around 0 covers the complex plane; the imaginary axis points up."""
    x, y, distance = np.abs(away.real), np.abs(away.imag), np.abs(away)
    match shape:
        case "triangle":
            return (away.imag > -0.5) & (away.imag < 1 - 3**0.5 * x)
        case "square":
            return np.maximum(x, y) < 0.7
        case "diamond":
            return x + y < 1
        case "disc":
            return distance < 0.85
        case "ring":
            return (distance < 0.9) & (distance > 0.5)
        case "star":
            return distance < 0.65 + 0.35 * np.sin(5 * np.angle(away))
        case "plus":
            return (np.minimum(x, y) < 0.28) & (np.maximum(x, y) < 0.95)
        case "saltire":
            return (np.abs(x - y) < 0.4) & (np.maximum(x, y) < 0.8)
        case "crescent":
            return (distance < 0.95) & (np.abs(away - 0.5) > 0.75)
        case _:
            return (x < 0.3) & (y < 0.95)
