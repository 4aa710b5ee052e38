"""How far a generated model is from everything the autoencoder was trained on.

A generator that repeats training checkpoints is accurate and useless (arXiv:2506.07998). So every
accuracy is reported beside a distance, in units in which 1 is how far training models lie apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mzsane.architectures import Architecture
from mzsane.evaluation.distances import Nearest, nearest, sorted_features
from mzsane.populations import Population
from mzsane.stores import Shelf
from mzsane.symmetry import Faces, Facing, Matcher, facing_distances
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
        shelf: where they are stored, in canonical form.
        rows: theirs.
        spans: columns of the flat vector, one span for each trained parameter.
        features: of `sorted_features`, by which exact copies are found in any order of channels.
        faces: of `mzsane.symmetry.Facing`, by which noisy ones are; none without a symmetry.
        spacing: mean distance from a training model to the nearest one of another name; epochs of
            one model are no neighbours. NaN if all have one name.
    """

    shelf: Shelf
    rows: Int[np.ndarray, " rows"]
    spans: tuple[slice, ...]
    features: Float[Tensor, "rows features"]
    faces: Faces
    spacing: float

    @classmethod
    def of(cls, shelf: Shelf, rows: Int[np.ndarray, " rows"]) -> "Neighbourhood":
        """Measure the training models in `rows`."""
        spans = trained_spans(shelf.architecture, shelf.layout)
        features = [
            sorted_features(_flat(shelf, some), spans) for some in np.split(rows, len(rows))
        ]
        spacing = _spacing(shelf, rows, spans)
        return cls(shelf, rows, spans, torch.cat(features), _faces(shelf, rows), spacing)

    def novelty(self, population: Population) -> Novelty:
        """Distance of each model to the nearest training model, over all orders of its channels.

        All orders have the same function, so the smallest distance counts. The search is a
        heuristic: a model is tried as it is, and matched to at most three training models, the
        nearest as it is, the one to which the sorted weights are nearest, and the one to which the
        channels beside inputs and outputs are. The second exposes permuted copies, the third also
        noisy ones. Matching to a common reference does not: it recovers one in eight of randomly
        permuted, unrelated CNNs of 2,464 weights.
        """
        flat = self.shelf.layout.flatten(population.tensors)
        best = nearest(flat, self.shelf.weights, self.rows, self.spans)
        if self.shelf.symmetry is None:
            return Novelty(best.distance / self.spacing, self.rows[best.index.numpy()])
        hopeful = (best.distance > 0) & best.distance.isfinite()
        tried: list[Int[Tensor, " models"]] = []
        for index in (best.index, self._alike(flat), self._faced(population, hopeful)):
            new = torch.stack([index != other for other in tried]).all(0) if tried else True
            aligned = self._matched(population, index, hopeful & new)
            best = _nearer(best, nearest(aligned, self.shelf.weights, self.rows, self.spans))
            tried.append(index)
        return Novelty(best.distance / self.spacing, self.rows[best.index.numpy()])

    def _alike(self, flat: Float[Tensor, "models parameters"]) -> Int[Tensor, " models"]:
        """The training models whose sorted weights are nearest, as places in `rows`."""
        distances = torch.cdist(sorted_features(flat, self.spans), self.features)
        return distances.nan_to_num(nan=torch.inf, posinf=torch.inf).min(1).indices

    def _faced(
        self, population: Population, hopeful: Bool[Tensor, " models"]
    ) -> Int[Tensor, " models"]:
        """The training models whose channels are nearest, as places in `rows`; of others 0."""
        found = torch.zeros(len(population), dtype=torch.long)
        facing = Facing(population.state(0), self.shelf.symmetry)
        if self.faces:
            for model in hopeful.nonzero().flatten().tolist():
                mine = facing(population.state(model))
                found[model] = facing_distances(mine, self.faces).argmin()
        return found

    def _matched(
        self,
        population: Population,
        index: Int[Tensor, " models"],
        hopeful: Bool[Tensor, " models"],
    ) -> Float[Tensor, "models parameters"]:
        """Each hopeful model matched to the training model that `index` names.

        Models at distance 0 cannot come nearer, those that are not finite cannot be matched.
        """
        states = [population.state(model) for model in range(len(population))]
        for model in hopeful.nonzero().flatten().tolist():
            row = int(self.rows[index[model]])
            matcher = Matcher(self.shelf.state(row), self.shelf.symmetry)
            states[model] = matcher.symmetry.apply(states[model], matcher.match(states[model]))
        return self.shelf.layout.flatten(
            Population.from_states(population.architecture, states).tensors
        )


def trained_parameters(architecture: Architecture) -> dict[str, int]:
    """Size of each trained parameter by name; buffers and frozen parameters are left out."""
    return {
        name: parameter.numel()
        for name, parameter in architecture.build().named_parameters()
        if parameter.requires_grad
    }


def trained_spans(architecture: Architecture, layout: Layout) -> tuple[slice, ...]:
    """Where each trained parameter stands in the flat vector."""
    sizes = trained_parameters(architecture)
    return tuple(
        slice(start, start + sizes[name]) for name, start in layout.offsets.items() if name in sizes
    )


def _faces(shelf: Shelf, rows: Int[np.ndarray, " rows"]) -> Faces:
    """Of the models in `rows`, stacked; read one at a time, because they are a small part."""
    if shelf.symmetry is None:
        return ()
    facing = Facing(shelf.state(int(rows[0])), shelf.symmetry)
    return tuple(map(torch.stack, zip(*(facing(shelf.state(int(r))) for r in rows), strict=True)))


def _spacing(shelf: Shelf, rows: Int[np.ndarray, " rows"], spans: Sequence[slice]) -> float:
    """Mean distance of stored models to the nearest one of another name; NaN if there is none."""
    names = shelf.models[rows]
    same = torch.from_numpy(names[:, None] == names[None, :])
    if bool(same.all()):
        return float("nan")
    distances = [
        nearest(_flat(shelf, rows[some]), shelf.weights, rows, spans, same[some]).distance
        for some in _chunks(shelf, rows)
    ]
    return float(torch.cat(distances).mean())


def _chunks(shelf: Shelf, rows: Int[np.ndarray, " rows"]) -> Iterator[slice]:
    """Slices of `rows` whose weights take 256 MB at most, or are of one model."""
    models = max(1, 2**26 // shelf.layout.parameters)
    for start in range(0, len(rows), models):
        yield slice(start, start + models)


def _flat(shelf: Shelf, rows: Int[np.ndarray, " rows"]) -> Float[Tensor, "rows parameters"]:
    return torch.from_numpy(np.array(shelf.weights[rows], dtype=np.float32))


def _nearer(a: Nearest, b: Nearest) -> Nearest:
    """The nearer of two neighbours, model by model."""
    first = a.distance <= b.distance
    return Nearest(torch.where(first, a.distance, b.distance), torch.where(first, a.index, b.index))
