"""Whether models can be trained on an image set, found out before any is."""

from collections.abc import Sequence

import torch

from mzsane.architectures import Architecture
from mzsane.images import ImageSet
from mzsane.populations import steps_an_epoch
from mzsane.zoos.building.training import Trial


def require_fitting(trials: Sequence[Trial], images: ImageSet) -> None:
    """Build every architecture once, and show it two images.

    Raises:
        ValueError: if one cannot be built, takes no such images, or has too few classes; or if the
            images do not fill a batch.
    """
    for architecture in {trial.architecture for trial in trials}:
        _require_fitting(architecture, images)
    for recipe in {trial.recipe for trial in trials}:
        steps_an_epoch(recipe, len(images.train.images))


def _require_fitting(architecture: Architecture, images: ImageSet) -> None:
    shape = tuple(images.train.images.shape[1:])
    if shape != architecture.input_shape:
        raise ValueError(
            f"{architecture.name} takes images of shape {architecture.input_shape}, those of "
            f"{images.name} have {shape}; set architecture.input_shape or choose other images"
        )
    if images.classes > architecture.classes:
        raise ValueError(
            f"{architecture.name} tells {architecture.classes} classes apart, {images.name} has "
            f"{images.classes}; set architecture.classes"
        )
    logits = _logits(architecture, images)
    if logits != (2, architecture.classes):
        raise ValueError(
            f"{architecture.name} gives logits of shape {logits} for 2 images, not "
            f"{(2, architecture.classes)}; let architecture.classes and arguments agree"
        )


@torch.inference_mode()
def _logits(architecture: Architecture, images: ImageSet) -> tuple[int, ...]:
    network = architecture.build(seed=0).eval()
    try:
        return tuple(network(images.train.images[:1].expand(2, -1, -1, -1)).shape)
    except (RuntimeError, TypeError, IndexError) as error:  # as any layer puts it
        told = str(error).splitlines()[0]
        raise ValueError(f"{architecture.name} cannot be shown {images.name}: {told}") from error
