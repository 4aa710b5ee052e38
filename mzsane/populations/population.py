"""N models of one architecture as one set of stacked tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from mzsane.architectures import Architecture


@dataclass(frozen=True, eq=False)
class Population:
    """N models of one architecture.

    Attributes:
        architecture: builds the network that runs them.
        tensors: every parameter and buffer of the state dict, integer buffers too, with the
            models along the first axis.

    Raises:
        ValueError: if the tensors hold different numbers of models.
    """

    architecture: Architecture
    tensors: dict[str, Shaped[Tensor, "_models ..."]]

    def __post_init__(self) -> None:
        """Refuse tensors that disagree on the number of models."""
        if len({len(tensor) for tensor in self.tensors.values()}) != 1:
            counts = {name: len(tensor) for name, tensor in self.tensors.items()}
            raise ValueError(f"a population's tensors hold different numbers of models: {counts}")

    def __len__(self) -> int:
        """Number of models."""
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, models: slice | Int[Tensor, "_chosen"]) -> "Population":
        """The chosen models as a population: a view for a slice, a copy for indices."""
        tensors = {name: tensor[models] for name, tensor in self.tensors.items()}
        return Population(self.architecture, tensors)

    @property
    def device(self) -> torch.device:
        """Where the tensors lie; it decides which engine runs the models."""
        return next(iter(self.tensors.values())).device

    def to(self, device: torch.device | str) -> "Population":
        """The population on another device."""
        tensors = {name: tensor.to(device) for name, tensor in self.tensors.items()}
        return Population(self.architecture, tensors)

    def state(self, model: int) -> dict[str, Tensor]:
        """The state dict of one model, as views."""
        return {name: tensor[model] for name, tensor in self.tensors.items()}

    @classmethod
    def from_states(
        cls, architecture: Architecture, states: Sequence[Mapping[str, Tensor]]
    ) -> "Population":
        """Stack state dicts.

        Raises:
            ValueError: if there are none, or if their names or shapes differ.
        """
        if not states:
            raise ValueError(f"{architecture.name}: a population needs at least one state dict")
        for number, state in enumerate(states):
            _require_same_tensors(architecture.name, number, states[0], state)
        names = states[0].keys()
        return cls(architecture, {k: torch.stack([s[k] for s in states]) for k in names})

    @classmethod
    def concatenate(cls, populations: Sequence["Population"]) -> "Population":
        """Join populations of one architecture, in order.

        Raises:
            ValueError: if there are none, or if their architectures differ.
        """
        if len({population.architecture.fingerprint for population in populations}) != 1:
            names = [population.architecture.name for population in populations]
            raise ValueError(f"concatenate needs populations of one architecture, got {names}")
        parts = [population.tensors for population in populations]
        joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return cls(populations[0].architecture, joined)


def initialise(architecture: Architecture, seeds: Sequence[int]) -> Population:
    """Untrained models, one a seed; the global random state is left alone."""
    states = [architecture.build(seed).state_dict() for seed in seeds]
    return Population.from_states(architecture, states)


def _require_same_tensors(
    name: str, number: int, first: Mapping[str, Tensor], state: Mapping[str, Tensor]
) -> None:
    """Refuse a state dict whose names or shapes are not those of the first."""
    expected = {key: tuple(tensor.shape) for key, tensor in first.items()}
    found = {key: tuple(tensor.shape) for key, tensor in state.items()}
    if differing := sorted(expected.items() ^ found.items()):
        raise ValueError(
            f"{name}: state dict {number} differs from the first in {differing[0][0]!r}; "
            "a population holds models of one architecture"
        )
