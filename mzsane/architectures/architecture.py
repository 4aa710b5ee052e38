"""How to build a network, as a value that can be stored next to its weights."""

import hashlib
import importlib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn

from mzsane.architectures.cnn import CNN, CNN2
from mzsane.architectures.mlp import MLP
from mzsane.architectures.resnet import ResNet18
from mzsane.architectures.stacks import CNN3, LeNet5
from mzsane.architectures.vit import PrefixedViT, ViT

NETWORKS: dict[str, type[nn.Module]] = {
    f"mzsane.architectures.{network.__name__}": network
    for network in (CNN, CNN2, CNN3, LeNet5, MLP, ResNet18, ViT, PrefixedViT)
}


@dataclass(frozen=True)
class Architecture:
    """A network's constructor and its arguments, and what goes in and comes out.

    Two architectures are equal when they build the same network for the same data: `trusted` and
    `name` do not count.

    Args:
        target: dotted path of a class or function that returns a module.
        arguments: its keyword arguments, plain values that JSON can hold (tuples become lists).
            Where the constructor has parameters called ``channels_in``, ``image_size``,
            ``input_shape`` or ``classes`` and this leaves them out, they are filled in from the
            two fields below.
        input_shape: channels, height and width of an image; kept as a tuple.
        classes: number of logits.
        trusted: import a target from outside ``mzsane.architectures``, which runs foreign code.
            Never stored: a file from a zoo cannot vouch for itself.
        name: label for tables and files; the target's last part in lower case when empty.

    Raises:
        ValueError: arguments that JSON cannot hold, or an input shape that is not three numbers.
    """

    target: str
    arguments: Mapping[str, Any]
    input_shape: Sequence[int]
    classes: int
    trusted: bool = field(default=False, compare=False)
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Brings every field into the form that it has after JSON."""
        try:
            arguments = json.loads(json.dumps(self.arguments))
        except TypeError as error:
            raise ValueError(f"{self.target}: arguments must be plain values ({error})") from error
        if len(self.input_shape) != 3:
            raise ValueError(
                f"{self.target}: input_shape {tuple(self.input_shape)} is not (channels, height, "
                "width)"
            )
        object.__setattr__(self, "arguments", arguments)
        object.__setattr__(self, "input_shape", tuple(int(side) for side in self.input_shape))
        object.__setattr__(self, "name", self.name or self.target.rpartition(".")[2].lower())

    def __hash__(self) -> int:
        """Consistent with equality, though `arguments` is a dictionary."""
        return hash(self.fingerprint)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that decides which network is built."""
        document = json.loads(self.to_json())
        del document["name"]
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    @property
    def settings(self) -> dict[str, Any]:
        """Every argument of the constructor and what it gets: named, filled in, or its default.

        Raises:
            ValueError: the target is not one of ours and not trusted, or cannot be imported.
        """
        parameters = inspect.signature(self._constructor()).parameters
        named = {key: p.default for key, p in parameters.items() if p.default is not p.empty}
        return named | self._complete(parameters)

    def build(self, seed: int | None = None) -> nn.Module:
        """The network, initialised on the CPU; the global random state stays as it was.

        Args:
            seed: decides the initial weights; with None they are what the global random state
                happens to give, for callers that load weights anyway.

        Raises:
            ValueError: the target is not one of ours and not trusted, cannot be imported, or
                does not take these arguments.
        """
        constructor = self._constructor()
        arguments = self._complete(inspect.signature(constructor).parameters)
        with torch.random.fork_rng(devices=[]):
            if seed is not None:
                # not torch.manual_seed, which would also seed every GPU
                torch.default_generator.manual_seed(seed)
            try:
                return constructor(**arguments)
            except TypeError as error:
                raise ValueError(f"{self.target} cannot be built: {error}") from error

    def to_json(self) -> str:
        """All fields but `trusted`, keys sorted."""
        document = {
            "target": self.target,
            "arguments": self.arguments,
            "input_shape": self.input_shape,
            "classes": self.classes,
            "name": self.name,
        }
        return json.dumps(document, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, trusted: bool = False) -> "Architecture":
        """Inverse of `to_json`.

        Args:
            text: what `to_json` wrote.
            trusted: the caller vouches for the target; nothing in `text` can.

        Raises:
            ValueError: the text is not JSON, or its fields are not ours.
        """
        try:
            document = json.loads(text)
            return cls(**document, trusted=trusted)
        except (TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a stored architecture: {error!r} in {text[:80]!r}") from error

    def _constructor(self) -> Callable[..., nn.Module]:
        if self.target in NETWORKS:
            return NETWORKS[self.target]
        if not self.trusted:
            raise ValueError(
                f"{self.target} is none of {', '.join(NETWORKS)}; set trusted=true if you trust "
                "the code it names"
            )
        module, _, attribute = self.target.rpartition(".")
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"{self.target} cannot be imported: {error}") from error

    def _complete(self, parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
        known = {
            "channels_in": self.input_shape[0],
            "image_size": list(self.input_shape[1:]),
            "input_shape": list(self.input_shape),
            "classes": self.classes,
        }
        return {key: known[key] for key in known if key in parameters} | dict(self.arguments)
