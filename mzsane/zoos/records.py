"""What a zoo yields: one record a checkpoint, or the reason why there is none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from torch import Tensor

from mzsane.architectures import Architecture


@dataclass(frozen=True, eq=False)
class ModelRecord:
    """One checkpoint of one model, with what is known about it before its weights are read.

    Listing a zoo costs no memory: weights are read by `load`, in whichever process calls it.

    Attributes:
        model: the model's name, unique within its zoo; its epochs share it, so that splits by
            name keep them together.
        epoch: completed epochs of training; 0 is the untrained network.
        load: reads the state dict to the CPU, without executing anything from the file; can be
            sent to another process. Raises OSError or ValueError, in one sentence, if it cannot.
        properties: results and hyper-parameters by the names of the published zoos
            (``test_acc``, ``ggap``, ``optim::lr``, ...); accuracies are shares of one.
        architecture: how to build the network, where the zoo says so in our terms; else None, and
            `recognise` may know it by its tensors.
        provenance: where it comes from: zoo, folder, file.
        stamp: changes when the file does; empty if there is no file.
    """

    model: str
    epoch: int
    load: Callable[[], dict[str, Tensor]]
    properties: dict[str, float | str] = field(default_factory=dict)
    architecture: Architecture | None = None
    provenance: dict[str, str] = field(default_factory=dict)
    stamp: str = ""


class Skipped(NamedTuple):
    """A member of a zoo that could not be read, counted and reported instead of lost."""

    path: str
    reason: str


def held(state: Mapping[str, Tensor]) -> Callable[[], dict[str, Tensor]]:
    """The `load` of a record whose weights are in memory already."""
    return partial(_itself, state)


def _itself(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return state
