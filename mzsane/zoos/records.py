"""What a zoo yields: one record a checkpoint, or the reason why there is none."""

from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from mzsane.architectures import Architecture


@dataclass(frozen=True, eq=False)
class ModelRecord:
    """One checkpoint of one model, with what is known about it.

    Attributes:
        model: the model's name, unique within its zoo; its epochs share it, so that splits by
            name keep them together.
        epoch: completed epochs of training; 0 is the untrained network.
        state: the state dict, on the CPU.
        properties: results and hyper-parameters by the names of the published zoos
            (``test_acc``, ``ggap``, ``optim::lr``, ...); accuracies as the zoo gives them.
        architecture: how to build the network; None where neither file nor caller said it.
        provenance: where it comes from: zoo, folder, file.
    """

    model: str
    epoch: int
    state: dict[str, Tensor]
    properties: dict[str, float | str] = field(default_factory=dict)
    architecture: Architecture | None = None
    provenance: dict[str, str] = field(default_factory=dict)


class Skipped(NamedTuple):
    """A member of a zoo that could not be read, counted and reported instead of lost."""

    path: str
    reason: str
