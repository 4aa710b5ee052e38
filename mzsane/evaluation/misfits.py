"""Why models cannot be evaluated or compared, and what to do about it."""

from collections.abc import Iterator, Mapping, Sequence

from mzsane.architectures import Architecture
from mzsane.evaluation.comparisons import RIVALS
from mzsane.evaluation.judging import takes
from mzsane.evaluation.protocols import Finetuned, Protocol, Refined
from mzsane.images import ImageSet
from mzsane.populations import steps_an_epoch
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


def unpaired(
    protocols: Mapping[str, Protocol], shelves: Sequence[Shelf], images: Sequence[ImageSet]
) -> Iterator[str]:
    """One sentence about each refinement that ends where fine-tuning is not tested.

    Args:
        protocols: by the names under which `mzsane.evaluation.compare` knows them.
        shelves: whose models are evaluated.
        images: sets, some of which suit some shelf.
    """
    for name, rival in RIVALS.items():
        refined, tuned = protocols.get(name), protocols.get(rival)
        if not isinstance(refined, Refined) or not isinstance(tuned, Finetuned):
            continue
        for one in images:
            if not any(refined.suits(shelf.architecture, one) for shelf in shelves):
                continue
            end, tested = refined.recipe.epochs, tuned.tested(len(one.train.images))
            if end not in tested:
                yield (
                    f"protocol.{name} ends after {end} epochs of {one.name}, where protocol."
                    f"{rival} does not test, so these two are not compared; let its steps include "
                    f"{end * steps_an_epoch(tuned.recipe, len(one.train.images))}"
                )


def _told(architecture: Architecture, images: ImageSet) -> str:
    """What is unlike the networks'."""
    if takes(architecture, images):
        return f"{images.name} has {images.classes} classes, which protocol=transfer can learn"
    return f"{images.name} has images {list(images.test.images.shape[1:])}"
