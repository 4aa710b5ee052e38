"""How far a generated model is from everything the autoencoder was trained on.

A generator that repeats training checkpoints is accurate and useless (arXiv:2506.07998). So every
accuracy is reported beside a distance, in units in which 1 is how far training models lie apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.evaluation.distances import nearest
from mzsane.populations import Population
from mzsane.stores import Shelf
from mzsane.symmetry import Matcher
from mzsane.tokens import Layout


class Novelty(NamedTuple):
    """Of each model of a population.

    Attributes:
        distance: to the nearest training model, in units of the training models' spacing.
        row: of that model, on the shelf.
    """

    distance: Float[Tensor, " models"]
    row: Int[np.ndarray, " models"]


@dataclass(frozen=True, eq=False)
class Neighbourhood:
    """The training models of one architecture.

    Attributes:
        shelf: where they are stored.
        rows: theirs.
        spans: columns of the flat vector that hold trained parameters.
        spacing: mean distance from a training model to the nearest one of another name; epochs of
            one model are no neighbours. NaN if all have one name.
        matcher: aligns to the shelf's reference; None if its symmetry is unknown.
    """

    shelf: Shelf
    rows: Int[np.ndarray, " rows"]
    spans: tuple[slice, ...]
    spacing: float
    matcher: Matcher | None

    @classmethod
    def of(cls, shelf: Shelf, rows: Int[np.ndarray, " rows"]) -> "Neighbourhood":
        """Measure the spacing of the models in `rows`, which are stored in canonical form."""
        spans = trained_spans(shelf.architecture, shelf.layout)
        # A reference outside the store gave all rows its frame, so any row can stand in for it.
        reference = rows[0] if shelf.reference is None else shelf.reference
        known = shelf.symmetry is not None
        matcher = Matcher(shelf.state(int(reference)), shelf.symmetry) if known else None
        return cls(shelf, rows, spans, spacing(shelf, rows, spans), matcher)

    def novelty(self, population: Population) -> Novelty:
        """Distance of each model to the nearest training model, as it is or aligned.

        Both have the same function, so the smaller distance counts: an anchor is at distance 0
        even if matching would move it, and a permuted anchor too. Models that are not finite are
        infinitely far from all.
        """
        found = [
            nearest(self.shelf.layout.flatten(tensors), self.shelf.weights, self.rows, self.spans)
            for tensors in (population.tensors, self._aligned(population))
        ]
        distance = torch.stack([near.distance for near in found])
        index = torch.stack([near.index for near in found])
        least, which = distance.min(0)
        row = self.rows[index.gather(0, which[None])[0].numpy()]
        return Novelty(least / self.spacing, row)

    def _aligned(self, population: Population) -> dict[str, Tensor]:
        """The population's tensors, each model in the frame of the reference."""
        if self.matcher is None:
            return population.tensors
        states = [_align(self.matcher, population.state(i)) for i in range(len(population))]
        return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def trained_parameters(architecture: Architecture) -> dict[str, int]:
    """Size of each trained parameter by name; buffers and frozen parameters are left out."""
    return {
        name: parameter.numel()
        for name, parameter in architecture.build().named_parameters()
        if parameter.requires_grad
    }


def trained_spans(architecture: Architecture, layout: Layout) -> tuple[slice, ...]:
    """Where trained parameters stand in the flat vector; adjacent ones are one span."""
    sizes = trained_parameters(architecture)
    spans: list[slice] = []
    for name, start in layout.offsets.items():
        if name in sizes:
            stop = start + sizes[name]
            if spans and spans[-1].stop == start:
                start = spans.pop().start
            spans.append(slice(start, stop))
    return tuple(spans)


def spacing(shelf: Shelf, rows: Int[np.ndarray, " rows"], spans: Sequence[slice]) -> float:
    """Mean distance of stored models to the nearest one of another name; NaN if there is none."""
    names = shelf.models[rows]
    same = torch.from_numpy(names[:, None] == names[None, :])
    if bool(same.all()):
        return float("nan")
    weights = torch.from_numpy(np.array(shelf.weights[rows], dtype=np.float32))
    return float(nearest(weights, shelf.weights, rows, spans, forbidden=same).distance.mean())


def _align(matcher: Matcher, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """One model in the reference's frame; a model that is not finite stays as it is."""
    if not all(bool(tensor.isfinite().all()) for tensor in state.values()):
        return state
    return matcher.symmetry.apply(state, matcher.match(state))
