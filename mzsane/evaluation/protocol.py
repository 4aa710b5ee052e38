"""The zero-shot protocol: every sampler beside every baseline, on every image set."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from mzsane.evaluation.baselines import Method, weight_baselines
from mzsane.evaluation.judging import Judge, fits
from mzsane.evaluation.novelty import Neighbourhood
from mzsane.evaluation.streams import stream_of, torch_generator
from mzsane.evaluation.table import Row
from mzsane.images import ImageSet
from mzsane.models import Sane
from mzsane.progress import Progress, silent
from mzsane.sampling import (
    Sampler,
    choose_rows,
    encode_rows,
    generate,
    reconstruct,
    reconstruct_rows,
    stored_models,
)
from mzsane.stores import Shelf, TokenStore

LOG = logging.getLogger(__name__)
BUDGET = 2**27
"""Weights of all models that are evaluated together: half a gigabyte of float32."""


class Case(NamedTuple):
    """One architecture of one source.

    Attributes:
        shelf: its stored models.
        train: rows that the autoencoder was trained on.
        heldout: rows of its test split; may be empty.
        images: sets that its networks can be run on.
    """

    shelf: Shelf
    train: Int[np.ndarray, " rows"]
    heldout: Int[np.ndarray, " heldout_rows"]
    images: dict[str, ImageSet]


@dataclass(frozen=True, eq=False)
class Study:
    """What is sampled from an autoencoder, and against what it is held.

    Models of every source and architecture are evaluated, without any training, on every image set
    of their image shape and number of classes; those that no image set fits, or that nobody knows
    how to build, are left out, and this is logged. Anchors, and the models from which novelty is
    measured, are of the stores' train split, held-out models of its test split.

    Args:
        stores: by source.
        images: loads each image set; the key is its name in the table.
        samplers: by the name of the method.
        num_anchors: stored models that are sampled from; all if there are fewer.
        num_samples: models of each method.
        num_models: as the autoencoder was trained: models per source; None is all.
        epochs: as the autoencoder was trained: checkpoints of each model; None is all.
        halo: tokens of context on each side of a window, for models longer than the
            autoencoder's; None is an eighth of the window.
        seed: each method's draws are a function of it, of source, architecture and method.
        workers: processes that evaluate; -1 takes every core.
    """

    stores: Mapping[str, TokenStore]
    images: Mapping[str, Callable[[], ImageSet]]
    samplers: Mapping[str, Sampler]
    num_anchors: int = 30
    num_samples: int = 30
    num_models: int | None = None
    epochs: Sequence[int] | None = None
    halo: int | None = None
    seed: int = 0
    workers: int = -1

    def run(self, model: Sane, step: int = 0, progress: Progress = silent) -> list[Row]:
        """Rows of the results table; none if no architecture could be evaluated.

        Args:
            model: the autoencoder; left in the mode and on the device in which it came.
            step: of its training, for the table.
            progress: is told how many rows there are.

        Raises:
            ValueError: a source has no training models.
        """
        images = {name: load() for name, load in self.images.items()}
        device = next(model.parameters()).device
        cases = [case for store in self.stores.values() for case in self._cases(store, images)]
        rows: list[Row] = []
        for case in cases:
            neighbourhood = Neighbourhood.of(case.shelf, case.train)
            judge = Judge(neighbourhood, case.images, self.workers, device)
            constant = {
                "anchors": min(self.num_anchors, len(case.train)),
                "seed": self.seed,
                "step": step,
            }
            for methods in _together(self._methods(model, case)):
                for row in judge.rows(methods):
                    rows.append(row | constant)
                    progress(f"evaluating: {row['source']} on {row['images']}", len(rows), None)
        return rows

    def _cases(self, store: TokenStore, images: Mapping[str, ImageSet]) -> Iterator[Case]:
        """Architectures of a store of which there are training models."""
        chosen = store.select("train", self.num_models, self.epochs)
        heldout = store.select("test", None, self.epochs)
        if not any(map(len, chosen)):
            raise ValueError(f"{store.name}: no models in its train split; store more models")
        for shelf, train, test in zip(store.architectures, chosen, heldout, strict=True):
            if not len(train):
                continue
            fitting = {name: one for name, one in images.items() if _fits(shelf, one)}
            if fitting:
                yield Case(shelf, train, test, fitting)
            else:
                LOG.warning("not evaluated: %s", _unfit(shelf, images))

    def _methods(self, model: Sane, case: Case) -> Iterator[Method]:
        """The zoo's own models, the baselines, and what the samplers draw."""
        shelf, n = case.shelf, self.num_samples
        stream = partial(stream_of, self.seed, shelf.source, shelf.architecture.fingerprint)
        window = model.window
        halo = window // 8 if self.halo is None else self.halo

        rows = choose_rows(shelf, case.train, self.num_anchors, stream("anchors"))
        stored = stored_models(shelf, rows)
        yield Method("anchors", "zoo", stored)
        yield from weight_baselines(stored, shelf.layout, shelf.symmetry, n, stream)

        anchors = encode_rows(model, shelf, rows, window, halo)
        yield Method("reconstructed", "baseline", reconstruct(model, anchors, window, halo))
        if len(case.heldout):
            unseen = choose_rows(shelf, case.heldout, n, stream("heldout"))
            yield Method("heldout", "zoo", stored_models(shelf, unseen))
            again = reconstruct_rows(model, shelf, unseen, window, halo)
            yield Method("heldout_reconstructed", "baseline", again)

        for name, sampler in self.samplers.items():
            generator = torch_generator(stream(name))
            drawn = generate(model, anchors, sampler, n, generator, window, halo)
            yield Method(name, "sampler", drawn)


def _together(methods: Iterable[Method]) -> Iterator[list[Method]]:
    """As many methods at a time as memory should hold, at least one."""
    group: list[Method] = []
    values = 0
    for method in methods:
        group.append(method)
        values += sum(tensor.numel() for tensor in method.population.tensors.values())
        if values >= BUDGET:
            yield group
            group, values = [], 0
    if group:
        yield group


def _fits(shelf: Shelf, images: ImageSet) -> bool:
    return shelf.architecture is not None and fits(shelf.architecture, images)


def _unfit(shelf: Shelf, images: Mapping[str, ImageSet]) -> str:
    """Why a shelf's networks cannot be evaluated, and what to do."""
    if shelf.architecture is None:
        return (
            f"{shelf.source}: the store does not say how to build its networks; preprocess the zoo "
            "with an architecture"
        )
    return (
        f"{shelf.source}: no image set has images {list(shelf.architecture.input_shape)} in "
        f"{shelf.architecture.classes} classes (there are {', '.join(images) or 'none'}); add one "
        "to evaluation.images"
    )
