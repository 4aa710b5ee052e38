"""Why models cannot be evaluated, and what to do about it."""

from collections.abc import Sequence

from mzsane.architectures import Architecture
from mzsane.evaluation.judging import takes
from mzsane.images import ImageSet
from mzsane.stores import Shelf


def misfit(shelf: Shelf, images: Sequence[ImageSet]) -> str:
    """One sentence about a shelf that no image set suits."""
    if shelf.architecture is None:
        return (
            f"{shelf.source}: the store does not say how to build its networks; preprocess the zoo "
            "with an architecture"
        )
    told = "; ".join(_told(shelf.architecture, one) for one in images) or "there are no image sets"
    return (
        f"{shelf.source}: no image set has images {list(shelf.architecture.input_shape)} in "
        f"{shelf.architecture.classes} classes ({told}); add one to evaluation.images"
    )


def _told(architecture: Architecture, images: ImageSet) -> str:
    """What is unlike the networks'."""
    if takes(architecture, images):
        return f"{images.name} has {images.classes} classes, which protocol=transfer can learn"
    return f"{images.name} has images {list(images.test.images.shape[1:])}"
