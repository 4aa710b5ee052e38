"""Who can answer in a run: networks that fit a window, with the images they were trained on."""

import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from mzsane.data import ZooData
    from mzsane.images import ImageSet
    from mzsane.stores import Shelf, Source
    from mzsane.systems import Answering, Networks

log = logging.getLogger(__name__)


def networks_of(
    loss: "nn.Module", sources: "Mapping[str, Source]", data: "ZooData"
) -> "Networks | None":
    """The networks that the behavioural loss asks; None if it has no part in the objective.

    Images are those of the training splits: the others select and test models. Networks with
    buffers are not asked, and so none with BatchNorm, also where its running statistics are
    tokens: while it is learned, a decoded variance can be negative.

    Raises:
        ValueError: if no network of the run can be asked.
    """
    from mzsane.losses import Behaviour  # imports torch, which --help and --cfg need not

    if not any(isinstance(module, Behaviour) for module in loss.modules()):
        return None
    from mzsane.systems import Networks

    found, refused, number = [], [], 0
    for name, store in data.stores.items():
        images = sources[name].images
        loaded = images() if images else None
        for shelf in store.architectures:
            if reason := _reason(shelf, data.window, loaded):
                refused.append(f"{name}: {reason}")
            else:
                found.append(_answering(number, shelf, loaded))
            number += 1
    if not found:
        raise ValueError(
            f"loss.terms.behaviour: no network can be asked ({'; '.join(refused)}); "
            "loss.terms.behaviour.weight=0 goes without"
        )
    for sentence in refused:
        log.warning("not asked by the behavioural loss: %s", sentence)
    return Networks(found)


def _reason(shelf: "Shelf", window: int, images: "ImageSet | None") -> str:
    """Why the networks of a shelf cannot be asked; empty if they can."""
    if images is None:
        return "the images that its models were trained on are not at hand"
    if shelf.architecture is None:
        return "nothing is known of how its networks are built"
    if shelf.layout.num_tokens > window:
        return f"its models have {shelf.layout.num_tokens} tokens, a window {window}"
    network = _network(shelf)
    if any(True for _ in network.buffers()):
        return "its networks have running statistics, which decoded could be negative"
    shape, wanted = tuple(images.train.images.shape[1:]), tuple(shelf.architecture.input_shape)
    return "" if shape == wanted else f"{images.name} has images of {shape}, it takes {wanted}"


def _answering(number: int, shelf: "Shelf", images: "ImageSet") -> "Answering":
    from mzsane.systems import Answering

    layout = shelf.layout
    return Answering(
        shelf=number,
        num_tokens=layout.num_tokens,
        detokenize=partial(layout.detokenize, carried={}),
        network=_network(shelf),
        images=images.train.images,
    )


def _network(shelf: "Shelf") -> "nn.Module":
    """Without weights of its own."""
    import torch

    with torch.device("meta"):
        return shelf.architecture.build()
