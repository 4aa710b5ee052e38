"""The images that running statistics and selections of a command come from."""

from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig

from mzsane.config import build, build_all
from mzsane.opened_zoo import sections_of
from mzsane.opening import Opened

if TYPE_CHECKING:
    from mzsane.images import ImageSet
    from mzsane.sampling import Anchors


class Needs(NamedTuple):
    """What a command does with images, besides nothing."""

    conditioning: bool
    selection: bool


def images_for(opened: Opened, cfg: DictConfig, anchors: "Anchors", needs: Needs) -> "ImageSet":
    """The images that a command names, or else those that the anchors were trained on.

    Raises:
        ValueError: none or several are known, or they do not suit the networks.
    """
    if cfg.images:
        images = build(cfg.images)()
        if reason := _unsuitable(anchors, images, needs):
            raise ValueError(
                f"images={images.name}: {reason}; name others, or say with architecture= what the "
                "networks of anchors from files are"
            )
        return images
    sources = build_all(sections_of(opened, cfg).zoo.sources)
    own = {anchors.source: sources[anchors.source]} if anchors.source in sources else sources
    loaded = [source.images() for source in own.values() if source.images is not None]
    fitting = [images for images in loaded if not _unsuitable(anchors, images, needs)]
    if len(fitting) == 1:
        return fitting[0]
    there = ", ".join(images.name for images in fitting) or "none"
    raise ValueError(
        f"which images? of those of the zoo, {there} suit {anchors.source}; name some with images="
    )


def _unsuitable(anchors: "Anchors", images: "ImageSet", needs: Needs) -> str:
    """Why networks cannot be run on images, or not be told by them which are good."""
    wanted, shape = anchors.architecture, tuple(images.train.images.shape[1:])
    if wanted is None:
        return "it is not known how to build the networks that should see them"
    if shape != wanted.input_shape:
        return f"they have the shape {shape}, the networks take {wanted.input_shape}"
    if needs.selection and images.classes != wanted.classes:
        return f"they show {images.classes} classes, the networks tell {wanted.classes}"
    return ""
