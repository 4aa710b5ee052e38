"""Classifiers for other classes."""

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn

from mzsane.architectures import Architecture
from mzsane.populations.population import Population, initialise


def renew_head(population: Population, classes: int, seeds: Sequence[int]) -> Population:
    """The models with a freshly initialised classifier, also where the number of classes is kept.

    The classifier is the last linear layer that gives as many numbers as the architecture has
    classes.

    Args:
        population: the models.
        classes: number of logits.
        seeds: one a model, for its classifier.

    Raises:
        ValueError: the network has no such layer, or another number of classes changes more.
    """
    old, new = population.architecture, with_classes(population.architecture, classes)
    fresh = initialise(new, seeds).to(population.device).tensors
    head = {f"{_head(old)}.{name}" for name in ("weight", "bias")}
    body = {name: tensor for name, tensor in population.tensors.items() if name not in head}
    _require_same_body(old, body, {k: t for k, t in fresh.items() if k not in head})
    return Population(new, {name: body.get(name, tensor) for name, tensor in fresh.items()})


def with_classes(architecture: Architecture, classes: int) -> Architecture:
    """The same network for another number of classes."""
    told = {"classes": classes} if "classes" in architecture.arguments else {}
    return replace(architecture, classes=classes, arguments={**architecture.arguments, **told})


def _head(architecture: Architecture) -> str:
    """Name of the classifier in the state dict."""
    found = [
        name
        for name, module in architecture.build().named_modules()
        if isinstance(module, nn.Linear) and module.out_features == architecture.classes
    ]
    if not found:
        raise ValueError(
            f"{architecture.name}: no linear layer gives {architecture.classes} numbers, so it is "
            "not known which one is the classifier; leave out what needs a new one"
        )
    return found[-1]


def _require_same_body(
    architecture: Architecture, old: dict[str, Tensor], new: dict[str, Tensor]
) -> None:
    """Refuse an architecture whose other tensors depend on the number of classes, or ignore it."""
    shapes = [{name: tuple(t.shape) for name, t in tensors.items()} for tensors in (old, new)]
    if differing := sorted(set(shapes[0].items()) ^ set(shapes[1].items())):
        raise ValueError(
            f"{architecture.name}: {differing[0][0]!r} depends on the number of classes, too, so "
            "its models cannot be given another classifier"
        )
