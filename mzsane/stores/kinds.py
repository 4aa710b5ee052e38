"""What kind of network a checkpoint is, and the order of tensors that all of the kind share."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.tokens import Layout
from mzsane.zoos import ModelRecord, assumed, recognise, telling

Entries = tuple[tuple[str, torch.Size, torch.dtype], ...]


class Kind(NamedTuple):
    """What decides the shelf of a checkpoint.

    Attributes:
        architecture: as the zoo gives it, or as it was recognised; None where neither is.
        layout: of the state dict, in the order of the network, if that is known.
        remark: that it was recognised, and what was assumed; empty if the zoo gives it.
    """

    architecture: Architecture | None
    layout: Layout
    remark: str = ""


def kind_of(
    record: ModelRecord, state: Mapping[str, Tensor], tokens: Mapping[str, Any]
) -> tuple[Kind, dict[str, Tensor]]:
    """The kind of a checkpoint, and its state dict in the order of the kind.

    Formats that keep no order, such as safetensors, sort tensors by name. The network's own order
    makes them equal to those of other formats.

    Args:
        record: of the checkpoint.
        state: its weights.
        tokens: settings of `Layout.of`.
    """
    architecture, remark = record.architecture, ""
    if architecture is None:
        entries = _entries(state)
        architecture, remark = _recognised(entries, tuple(telling(record.properties).items()))
    names = _names(architecture) if architecture else ()
    ordered = {name: state[name] for name in (names if state.keys() == set(names) else state)}
    return Kind(architecture, _layout(_entries(ordered), **tokens), remark), ordered


def _entries(state: Mapping[str, Tensor]) -> Entries:
    return tuple((name, tensor.shape, tensor.dtype) for name, tensor in state.items())


def _empty(entries: Entries) -> dict[str, Tensor]:
    """Names, shapes and dtypes, without memory."""
    return {name: torch.empty(shape, dtype=dtype, device="meta") for name, shape, dtype in entries}


@lru_cache(maxsize=256)
def _layout(entries: Entries, **tokens: Any) -> Layout:
    """One object for all checkpoints of a kind, which plans once what they share."""
    return Layout.of(_empty(entries), **tokens)


@lru_cache(maxsize=256)
def _recognised(
    entries: Entries, properties: tuple[tuple[str, Any], ...]
) -> tuple[Architecture | None, str]:
    found = recognise(_empty(entries), dict(properties))
    if found is None:
        return None, ""
    guesses = ", ".join(assumed(found, dict(properties)))
    return found, f"{found.name}: recognised by its tensors; assumed {guesses}"


@lru_cache(maxsize=256)
def _names(architecture: Architecture) -> tuple[str, ...]:
    """Of the network's tensors; none if it cannot be built, which `frames_of` reports."""
    try:
        with torch.device("meta"):
            return tuple(architecture.build().state_dict())
    except Exception:  # the constructor may be a user's
        return ()
