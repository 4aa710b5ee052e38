"""All ways to get models of one architecture, drawn when they are first needed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.evaluation.baselines import NOISE, Maker, weight_baselines
from mzsane.evaluation.conditioning import statistics_from
from mzsane.evaluation.families import Member
from mzsane.evaluation.ledger import Ledger
from mzsane.evaluation.methods import Amounts, Case, Method, Refinement
from mzsane.evaluation.selected import (
    best_on_validation,
    best_with_noise,
    greedy_soup,
    weights_of,
)
from mzsane.evaluation.selecting import OnValidation
from mzsane.evaluation.streams import Stream, stream_of, torch_generator
from mzsane.images import ImageSet
from mzsane.models import Sane
from mzsane.populations import Population
from mzsane.sampling import (
    Anchors,
    Conditioning,
    Precision,
    Sampler,
    Selected,
    Selection,
    choose_rows,
    decode_models,
    encode_rows,
    reconstruct,
    reconstruct_rows,
    refine,
    select,
    stored_models,
)

Latents = Float[Tensor, "models tokens latent"]


@dataclass(frozen=True, eq=False)
class Workshop:
    """What methods draw from, made once for all of them.

    Attributes:
        model: the autoencoder.
        case: whose models.
        amounts: how many.
        samplers: with their names.
        seed: a method's draws are a function of it, of source, architecture and method.
        workers: processes for what is selected; -1 takes every core.
        conditioning: where running statistics of what is selected come from.
        ledger: keeps selections, so that each is made once.
    """

    model: Sane
    case: Case
    amounts: Amounts
    samplers: Sequence[Member]
    seed: int
    workers: int
    conditioning: Conditioning
    ledger: Ledger

    @property
    def stream(self) -> Stream:
        """The random stream of each method."""
        shelf = self.case.shelf
        return partial(stream_of, self.seed, shelf.source, shelf.architecture.fingerprint)

    @property
    def device(self) -> torch.device:
        """Of the autoencoder, where networks run, too."""
        return next(self.model.parameters()).device

    def methods(self) -> Iterator[Method]:
        """The zoo's own models, baselines, reconstructions, and what the samplers draw."""
        yield Method("anchors", "zoo", lambda images: self._stored)
        yield Method("anchors_best_validation", "zoo", self._best, selects=True)
        shelf, amounts = self.case.shelf, self.amounts
        made = weight_baselines(shelf.layout, shelf.symmetry, amounts.samples, amounts.noise_scales)
        for name, maker in made.items():
            family = NOISE if name.startswith(NOISE) else None
            yield Method(name, "baseline", partial(self._made, name, maker), family=family)
        yield Method("greedy_soup", "baseline", self._soup, selects=True)
        for scale in amounts.noise_scales if amounts.noise_candidates else ():
            name = f"{NOISE}_{scale:g}_selected"
            models, family = partial(self._noised, name, scale), f"{NOISE}_selected"
            yield Method(name, "baseline", models, selects=True, family=family)
        yield from self._reconstructions()
        for name, family, sampler in self.samplers:
            selects = isinstance(sampler, Selection)
            latents = partial(self._selected if selects else self._sampled, name, sampler)
            models, refined = partial(self._decoded, latents), partial(self._refined, latents)
            yield Method(name, "sampler", models, selects, refined, family)

    def _reconstructions(self) -> Iterator[Method]:
        """Stored models that the autoencoder was trained on, and others, beside themselves."""
        model, passing = self.model, self._passing
        yield Method(
            "reconstructed",
            "reconstruction",
            lambda images: reconstruct(model, self._anchors, *passing),
            refined=lambda images, budget: self._refined(
                lambda images: self._anchors.latents, images, budget, self._anchors.carried
            ),
        )
        if len(self.case.heldout):
            shelf = self.case.shelf
            yield Method("heldout", "zoo", lambda images: stored_models(shelf, self._unseen))
            yield Method(
                "heldout_reconstructed",
                "reconstruction",
                lambda images: reconstruct_rows(model, shelf, self._unseen, *passing),
            )

    @property
    def _passing(self) -> tuple[int, int, Precision]:
        """Window, halo and precision of every pass through the autoencoder."""
        window, halo = self.model.window, self.amounts.halo
        return window, window // 8 if halo is None else halo, self.amounts.precision

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
        return encode_rows(self.model, self.case.shelf, self._rows, *self._passing)

    def _made(self, name: str, maker: Maker, images: ImageSet) -> Population:
        return maker(self._stored, self.stream(name))

    def _best(self, images: ImageSet) -> Population:
        stored = self._stored.to(self.device)
        return best_on_validation(stored, images.validation, self.workers)

    def _soup(self, images: ImageSet) -> Population:
        split = statistics_from(self.conditioning, images, decoded=False)
        stored = self._stored.to(self.device)
        return greedy_soup(stored, images.validation, split, self.workers)

    def _noised(self, name: str, scale: float, images: ImageSet) -> Population:
        """The best of many anchors with noise, which no test image decides."""
        layout, amounts = self.case.shelf.layout, self.amounts
        judge = self._judge(images, decoded=False)
        flat = self._kept(
            name,
            images,
            lambda: best_with_noise(
                self._stored, layout, amounts.samples, amounts.noise_candidates or 0, scale, judge,
                self.stream(name),
            ),
        )  # fmt: skip
        return weights_of(flat, self._stored, layout)

    def _judge(self, images: ImageSet, decoded: bool) -> OnValidation:
        split = statistics_from(self.conditioning, images, decoded=decoded)
        return OnValidation(images.validation, split, self.workers, self.device)

    def _kept(self, name: str, images: ImageSet, selected: Callable[[], Selected]) -> Latents:
        """What was selected for an image set, once."""
        shelf = self.case.shelf
        key = (shelf.source, shelf.architecture.fingerprint, name, images.name)
        return self.ledger.selected(key, selected).latents

    def _sampled(self, name: str, sampler: Sampler, images: ImageSet) -> Latents:
        anchors, generator = self._anchors, torch_generator(self.stream(name))
        return sampler.sample(anchors.latents, anchors.layers, self.amounts.samples, generator)

    def _selected(self, name: str, selection: Selection, images: ImageSet) -> Latents:
        """The survivors of a selection, which no test image decides."""
        judge = self._judge(images, decoded=True)
        generator = torch_generator(self.stream(name))
        return self._kept(
            name,
            images,
            lambda: select(self.model, self._anchors, selection, judge, generator, *self._passing),
        )

    def _decoded(self, latents: Callable[[ImageSet], Latents], images: ImageSet) -> Population:
        return decode_models(self.model, latents(images), self._anchors, *self._passing)

    def _refined(
        self,
        latents: Callable[[ImageSet], Latents],
        images: ImageSet,
        budget: Refinement,
        carried: Mapping[str, Tensor] | None = None,
    ) -> Population:
        """Models after refinement; `carried` is what is no token of each, None what is shared."""
        seed = int(self.stream("refining").integers(2**31))
        refined = refine(
            self.model,
            latents(images),
            self._anchors,
            *images.train,
            budget.steps,
            budget.lr,
            seed,
            *self._passing[:2],
            budget.batch_size,
            carried,
        )
        return decode_models(self.model, refined, self._anchors, *self._passing, carried)
