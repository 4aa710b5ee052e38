"""Reads the weights of an autoencoder, and compares them with what a model has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

WRAPPERS = ("state_dict", "model")
PREFIXES = ("model.", "module.", "_orig_mod.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors in a file of safetensors or torch, without executing anything from it.

    What a trainer writes around them is taken off: entries named in `WRAPPERS`, and prefixes that
    Lightning, parallel and compiled models put before all names.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, contains code, or holds no tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        document = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # both libraries raise nearly anything for a damaged file
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: cannot be loaded: {type(error).__name__}: {reason}") from error
    return _tensors(document, path)


def differing(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str | None:
    """The first tensor in which weights differ from those that a model has, in words."""
    for name, tensor in wanted.items():
        if name not in state:
            return f"{name} is missing, of shape {list(tensor.shape)}"
        if state[name].shape != tensor.shape:
            found, expected = list(state[name].shape), list(tensor.shape)
            return f"{name} has the shape {found}, a model of these settings {expected}"
    extra = next((name for name in state if name not in wanted), None)
    return None if extra is None else f"{extra} is none of the model's tensors"


def _tensors(document: Any, path: Path) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(document, Mapping) and isinstance(document.get(wrapper), Mapping):
            document = document[wrapper]
    tensors = document if isinstance(document, Mapping) else {}
    tensors = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(f"{path}: holds no state dict, that is, no mapping from names to tensors")
    while any(all(name.startswith(prefix) for name in tensors) for prefix in PREFIXES):
        tensors = {name.partition(".")[2]: tensor for name, tensor in tensors.items()}
    return tensors
