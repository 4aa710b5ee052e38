"""All ways to get models of one architecture, drawn when they are first needed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from mzsane.evaluation.baselines import Maker, weight_baselines
from mzsane.evaluation.selected import best_on_validation, greedy_soup
from mzsane.evaluation.selecting import OnValidation
from mzsane.evaluation.streams import Stream, stream_of, torch_generator
from mzsane.images import ImageSet
from mzsane.models import Sane
from mzsane.populations import Population
from mzsane.sampling import (
    Anchors,
    Sampler,
    Selection,
    choose_rows,
    decode_models,
    encode_rows,
    generate,
    reconstruct,
    reconstruct_rows,
    select,
    stored_models,
)
from mzsane.stores import Shelf

Kind = Literal["sampler", "baseline", "reconstruction", "zoo"]


class Case(NamedTuple):
    """One architecture of one source.

    Attributes:
        shelf: its stored models.
        train: rows that the autoencoder was trained on.
        heldout: rows of its test split; may be empty.
    """

    shelf: Shelf
    train: Int[np.ndarray, " rows"]
    heldout: Int[np.ndarray, " heldout_rows"]


class Method(NamedTuple):
    """A way to get models.

    Attributes:
        name: in tables.
        kind: ``zoo`` models are as they are stored and keep their running statistics; those of all
            others are computed from validation images.
        models: draws them, the same ones every time; validation images of the set may decide.
        selects: whether they do, so that every image set gets models of its own.
    """

    name: str
    kind: Kind
    models: Callable[[ImageSet], Population]
    selects: bool = False


class Amounts(NamedTuple):
    """Of what is drawn.

    Attributes:
        anchors: stored models that are sampled from; all if there are fewer.
        samples: models of each method.
        noise_scales: of ``anchor_noise_<scale>``.
        halo: tokens of context on each side of a window; None is an eighth of the window.
    """

    anchors: int
    samples: int
    noise_scales: Sequence[float]
    halo: int | None


@dataclass(frozen=True, eq=False)
class Workshop:
    """What methods draw from, made once for all of them.

    Attributes:
        model: the autoencoder.
        case: whose models.
        amounts: how many.
        samplers: by the name of their method.
        seed: a method's draws are a function of it, of source, architecture and method.
        workers: processes for what is selected; -1 takes every core.
    """

    model: Sane
    case: Case
    amounts: Amounts
    samplers: Mapping[str, Sampler | Selection]
    seed: int
    workers: int

    @property
    def stream(self) -> Stream:
        """The random stream of each method."""
        shelf = self.case.shelf
        return partial(stream_of, self.seed, shelf.source, shelf.architecture.fingerprint)

    def methods(self) -> Iterator[Method]:
        """The zoo's own models, baselines, reconstructions, and what the samplers draw."""
        yield Method("anchors", "zoo", lambda images: self._stored)
        yield Method("anchors_best_validation", "zoo", self._best, selects=True)
        shelf, amounts = self.case.shelf, self.amounts
        made = weight_baselines(shelf.layout, shelf.symmetry, amounts.samples, amounts.noise_scales)
        for name, maker in made.items():
            yield Method(name, "baseline", partial(self._made, name, maker))
        yield Method("greedy_soup", "baseline", self._soup, selects=True)
        yield from self._reconstructions()
        for name, sampler in self.samplers.items():
            if isinstance(sampler, Selection):
                selected = partial(self._selected, name, sampler)
                yield Method(name, "sampler", selected, selects=True)
            else:
                yield Method(name, "sampler", partial(self._sampled, name, sampler))

    def _reconstructions(self) -> Iterator[Method]:
        """Stored models that the autoencoder was trained on, and others, beside themselves."""
        model, window, halo = self.model, self.model.window, self._halo
        yield Method(
            "reconstructed",
            "reconstruction",
            lambda images: reconstruct(model, self._anchors, window, halo),
        )
        if len(self.case.heldout):
            shelf = self.case.shelf
            yield Method("heldout", "zoo", lambda images: stored_models(shelf, self._unseen))
            yield Method(
                "heldout_reconstructed",
                "reconstruction",
                lambda images: reconstruct_rows(model, shelf, self._unseen, window, halo),
            )

    @property
    def _halo(self) -> int:
        return self.model.window // 8 if self.amounts.halo is None else self.amounts.halo

    @cached_property
    def _rows(self) -> Int[np.ndarray, " anchors"]:
        case = self.case
        return choose_rows(case.shelf, case.train, self.amounts.anchors, self.stream("anchors"))

    @cached_property
    def _unseen(self) -> Int[np.ndarray, " heldout"]:
        case = self.case
        return choose_rows(case.shelf, case.heldout, self.amounts.samples, self.stream("heldout"))

    @cached_property
    def _stored(self) -> Population:
        return stored_models(self.case.shelf, self._rows)

    @cached_property
    def _anchors(self) -> Anchors:
        return encode_rows(self.model, self.case.shelf, self._rows, self.model.window, self._halo)

    def _made(self, name: str, maker: Maker, images: ImageSet) -> Population:
        return maker(self._stored, self.stream(name))

    def _best(self, images: ImageSet) -> Population:
        return best_on_validation(self._stored, images.validation, self.workers)

    def _soup(self, images: ImageSet) -> Population:
        return greedy_soup(self._stored, images.validation, self.workers)

    def _sampled(self, name: str, sampler: Sampler, images: ImageSet) -> Population:
        generator = torch_generator(self.stream(name))
        return generate(
            self.model,
            self._anchors,
            sampler,
            self.amounts.samples,
            generator,
            self.model.window,
            self._halo,
        )

    def _selected(self, name: str, selection: Selection, images: ImageSet) -> Population:
        """The survivors of a selection, which sees validation images only."""
        judge = OnValidation(images.validation, images.validation, self.workers)
        generator = torch_generator(self.stream(name))
        window, halo = self.model.window, self._halo
        survivors = select(self.model, self._anchors, selection, judge, generator, window, halo)
        return decode_models(self.model, survivors.latents, self._anchors, window, halo)
