"""Printed digits, rendered from the fonts that come with matplotlib."""

from collections.abc import Sequence
from functools import cache as memoise
from functools import partial
from pathlib import Path

import numpy as np

from mzsane.images.imageset import Drawn, ImageSet, assemble
from mzsane.images.showing import require_shape, shown

# Fonts whose "0" to "9" are upright figures of equal height; cmmi10's are old-style, cmsy10's none.
FONTS = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    *("cmr10", "cmb10", "cmss10", "cmtt10", "cmti10"),
)
SIDE = 28
CANVAS = 4 * SIDE  # digits are drawn at four times their size, then scaled down
RENDERING = 2  # purpose of the random draw, see docs/design.md
REVISION = 2  # of what is drawn; raise it with every change, so that cached images are left behind


def printed(
    cache: Path | str | None = None,
    seed: int = 0,
    images: int = 3600,
    rotation: int = 6,
    shape: Sequence[int] = (1, SIDE, SIDE),
) -> ImageSet:
    """Printed digits in 20 fonts, each placed, scaled, rotated, faded and made noisy at random.

    Image `i` is a function of (seed, i). Fonts occur in all splits, images in one. Pixels may
    differ by a shade between versions of Pillow, which draws them.

    Args:
        cache: folder for the prepared images; None renders them anew.
        seed: decides the images and the splits.
        images: how many, at least 10.
        rotation: largest angle in degrees, to either side; 0 keeps every digit upright.
        shape: channels (1 or 3), height and width the images are shown at.

    Raises:
        ValueError: if there are too few images to split, or the shape cannot be shown.
    """
    if images < 10:
        raise ValueError(f"printed: images={images} is too few for three splits; take 10 or more")
    require_shape("printed", shape)
    arguments = {"seed": seed, "images": images, "rotation": rotation, "shape": list(shape)}
    draw = partial(_draw, **arguments)
    return assemble("printed", cache, arguments | {"revision": REVISION}, draw)


def _draw(seed: int, images: int, rotation: int, shape: Sequence[int]) -> Drawn:
    """All images, one class after the other in turn."""
    labels = np.arange(images) % 10
    pixels = [_render(int(d), rotation, [seed, RENDERING, i]) for i, d in enumerate(labels)]
    return Drawn(shown(np.stack(pixels)[:, None], shape), labels.astype(np.int64))


def _render(digit: int, rotation: int, key: list[int]) -> np.ndarray:
    """One digit, 17 to 22 pixels high, up to 2 pixels off the centre."""
    from PIL import Image

    rng = np.random.default_rng(key)
    glyph = _glyph(FONTS[rng.integers(len(FONTS))], digit)
    turned = glyph.rotate(rng.uniform(-rotation, rotation), Image.Resampling.BILINEAR)
    # the glyph is 80 of 112 pixels high; a crop of more pixels makes it smaller
    crop = CANVAS * 20 / rng.uniform(17, 22)
    shift = rng.uniform(-2, 2, size=2) * crop / SIDE
    left, top = (3 * CANVAS - crop) / 2 + shift
    box = (left, top, left + crop, top + crop)
    shape = np.asarray(turned.resize((SIDE, SIDE), Image.Resampling.BOX, box=box)) / 255
    ground = rng.uniform(0, 0.1) + rng.uniform(0, 0.1) * rng.standard_normal((SIDE, SIDE))
    ink = rng.uniform(0.7, 1)
    return (255 * np.clip(ground + (ink - ground) * shape, 0, 1)).round().astype(np.uint8)


@memoise
def _glyph(font: str, digit: int):
    """The digit, 80 pixels high, in the middle of a canvas wide enough for every crop."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    unscaled = ImageFont.truetype(path, 100)
    top, bottom = unscaled.getbbox("0")[1::2]
    scaled = ImageFont.truetype(path, 100 * 80 / (bottom - top))
    left, top, right, bottom = scaled.getbbox(str(digit))
    canvas = Image.new("L", (3 * CANVAS, 3 * CANVAS))
    corner = ((3 * CANVAS - left - right) / 2, (3 * CANVAS - top - bottom) / 2)
    ImageDraw.Draw(canvas).text(corner, str(digit), font=scaled, fill=255)
    return canvas
