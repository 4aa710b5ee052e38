"""Which of the field's networks a state dict belongs to, from its names and shapes."""

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from mzsane.architectures import CNN, CNN2, CNN3, MLP, Architecture, LeNet5

SIDES = (28, 32, 64, 96, 128, 224)  # pixels of the images of the field's data sets
HEAD = 64  # features of an attention head in the published transformers, whatever the width
_SIDE_BY_CLASSES = {200: 64, 1000: 224}  # Tiny-ImageNet and ImageNet
_STACKS = {(5, 5, 2): CNN, (3, 3, 3): CNN3, (5, 5): LeNet5}  # by kernels of the convolutions
_TELLING = {
    "nonlinearity": "model::nlin",
    "heads": "model::heads",
    "head_nonlinearity": "model::head::nlin",
}  # arguments that tensors do not show, and the property that does
_LAYER = re.compile(r"module_list\.(\d+)\.weight")

Shapes = Mapping[str, tuple[int, ...]]
Properties = Mapping[str, Any]


def recognise(state: Mapping[str, Tensor], properties: Properties) -> Architecture | None:
    """The network of the field's zoos that has exactly these tensors, by name and shape.

    Numbers of classes, channels and widths are read off the tensors, since what zoos say of them
    can be wrong (``model::o_dim`` is 4 for networks with 10 outputs). What tensors do not tell
    comes from the properties: the nonlinearity from ``model::nlin``, or else from the
    constructor's default; dropout from ``model::dropout`` where it agrees with the tensors' names;
    heads of attention from ``model::heads``, or else 64 features make one. Images are the smallest
    of `SIDES` that fit; a residual network takes images of any size and is given those of the data
    set with as many classes. `assumed` says which of these were guesses. How weights were
    initialised is left out: it does not show any more.

    Args:
        state: the state dict.
        properties: of a `ModelRecord`.

    Returns:
        None if it is none of these networks, or has a nonlinearity that ours cannot have.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if any(0 in shape for shape in shapes.values()):
        return None
    for family in (_stacks, _perceptrons, _residual_networks, _transformers):
        for candidate in family(shapes, properties):
            if _has(candidate, shapes):
                return candidate
    return None


def telling(properties: Properties) -> dict[str, Any]:
    """The properties on which `recognise` and `assumed` depend."""
    names = (*_TELLING.values(), "model::dropout")
    return {name: properties[name] for name in names if name in properties}


def assumed(architecture: Architecture, properties: Properties) -> list[str]:
    """What neither tensors nor properties tell of a network that was recognised, in words."""
    guessed = (
        f"{argument}={architecture.arguments[argument]}"
        for argument, name in _TELLING.items()
        if argument in architecture.arguments and not properties.get(name)
    )
    return [*guessed, f"images of {' x '.join(map(str, architecture.input_shape))}"]


def _has(architecture: Architecture, shapes: Shapes) -> bool:
    """Whether the network has these tensors and no others; it is built without memory for them."""
    try:
        with torch.device("meta"):
            network = architecture.build()
    except ValueError:  # images too small, or a nonlinearity that is not ours
        return False
    return shapes == {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _stacks(shapes: Shapes, properties: Properties) -> Iterator[Architecture]:
    """Convolutions, then linear layers, in one list: CNN, CNN2, CNN3 and LeNet5."""
    layers = _layers(shapes)
    convolutions = [shape for shape in layers if len(shape) == 4]
    network = _STACKS.get(tuple(shape[2] for shape in convolutions))
    if network is None:
        return
    width = tuple(shape[0] for shape in convolutions)
    if network is CNN and width == inspect.signature(CNN2).parameters["width"].default:
        network = CNN2
    for side in SIDES:
        seen = (convolutions[0][1], side, side)
        yield from _by_dropout(network, {"width": width}, seen, layers[-1][0], properties)


def _perceptrons(shapes: Shapes, properties: Properties) -> Iterator[Architecture]:
    """Linear layers in one list."""
    layers = _layers(shapes)
    if layers and all(len(shape) == 2 for shape in layers):
        arguments = {"width": [shape[0] for shape in layers[:-1]]}
        seen = _image_of(layers[0][1])
        yield from _by_dropout(MLP, arguments, seen, layers[-1][0], properties)


def _layers(shapes: Shapes) -> list[tuple[int, ...]]:
    """Shapes of the weights in ``module_list``, in order, if they end with a linear layer's."""
    numbered = ((_LAYER.fullmatch(name), shape) for name, shape in shapes.items())
    layers = [shape for _, shape in sorted((int(m[1]), shape) for m, shape in numbered if m)]
    return layers if layers and len(layers[-1]) == 2 else []


def _by_dropout(
    network: type,
    arguments: Mapping[str, Any],
    input_shape: tuple[int, int, int],
    classes: int,
    properties: Properties,
) -> Iterator[Architecture]:
    """With dropout as stated, else without any, else with the half that published zoos have."""
    default = inspect.signature(network).parameters["nonlinearity"].default
    chosen = {**arguments, "nonlinearity": _nonlinearity(properties, default)}
    stated = properties.get("model::dropout")
    for dropout in ([float(stated)] if isinstance(stated, int | float) else []) + [0.0, 0.5]:
        target = f"mzsane.architectures.{network.__name__}"
        yield Architecture(target, {**chosen, "dropout": dropout}, input_shape, classes)


def _image_of(features: int) -> tuple[int, int, int]:
    """A square image in grey or colour with so many values, else one long row."""
    for channels in (1, 3):
        side = isqrt(features // channels)
        if channels * side * side == features and side > 1:
            return channels, side, side
    return 1, 1, features


def _residual_networks(shapes: Shapes, properties: Properties) -> Iterator[Architecture]:
    """ResNet-18 of any width, with the stem for small images or the original one."""
    if len(shapes.get("conv1.weight", ())) != 4 or len(shapes.get("fc.weight", ())) != 2:
        return
    if _nonlinearity(properties, "relu") != "relu":
        return
    width, channels, kernel, _ = shapes["conv1.weight"]
    classes = shapes["fc.weight"][0]
    arguments = {
        "width": width,
        "stem": "imagenet" if kernel == 7 else "cifar",
        "shortcut": "shortcut" if any(".shortcut." in name for name in shapes) else "downsample",
    }
    side = _SIDE_BY_CLASSES.get(classes, 32)
    target = "mzsane.architectures.ResNet18"
    yield Architecture(target, arguments, (channels, side, side), classes)


def _transformers(shapes: Shapes, properties: Properties) -> Iterator[Architecture]:
    """Vision transformers by timm's names, with the prefix of the published zoo or without."""
    target, prefix = ("PrefixedViT", "vit.") if "vit.cls_token" in shapes else ("ViT", "")
    inner = {name.removeprefix(prefix): shape for name, shape in shapes.items()}
    stem, positions = inner.get("patch_embed.proj.weight", ()), inner.get("pos_embed", ())
    classifier = [shape for name, shape in inner.items() if re.match(r"head\..*weight", name)]
    if len(stem) != 4 or len(positions) != 3 or not all(len(s) == 2 for s in classifier):
        return
    width, channels, patch, _ = stem
    heads = properties.get("model::heads", width // HEAD)
    if not classifier or not isinstance(heads, int | float) or not heads >= 1:
        return
    arguments = {
        "patch_size": patch,
        "width": width,
        "depth": len(Counter(n.split(".")[1] for n in inner if n.startswith("blocks."))),
        "heads": int(heads),
        "head": [shape[0] for shape in classifier[:-1]],
    }
    if len(classifier) > 1:
        arguments["head_nonlinearity"] = str(properties.get("model::head::nlin", "relu"))
    side = patch * isqrt(positions[1] - 1)
    target = f"mzsane.architectures.{target}"
    yield Architecture(target, arguments, (channels, side, side), classifier[-1][0])


def _nonlinearity(properties: Properties, default: str) -> str:
    return str(properties.get("model::nlin") or default).lower()
