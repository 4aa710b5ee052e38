"""What a way to get models is."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from mzsane.images import ImageSet
from mzsane.populations import Population
from mzsane.sampling import Precision
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
        kind: ``zoo`` models are as they are stored and keep their running statistics; those of
            others are `mzsane.evaluation.conditioning.statistics_from`'s.
        models: draws them, the same ones every time; validation images of the set may decide.
        selects: whether they do, so that every image set gets models of its own.
        refined: of a method that draws latents, the models after refining these on train images
            (`mzsane.sampling.refine`); None of all others.
        family: name of the methods that differ from it in strength only; None is none.
    """

    name: str
    kind: Kind
    models: Callable[[ImageSet], Population]
    selects: bool = False
    refined: Callable[[ImageSet, "Refinement"], Population] | None = None
    family: str | None = None

    @property
    def decoded(self) -> bool:
        """Whether an autoencoder made the models, and their running statistics if it can."""
        return self.kind in ("sampler", "reconstruction")


class Refinement(NamedTuple):
    """A budget of steps, the size of one in units of latents, and of a batch of images."""

    steps: int
    lr: float
    batch_size: int


class Amounts(NamedTuple):
    """Of what is drawn.

    Attributes:
        anchors: stored models that are sampled from; all if there are fewer.
        samples: models of each method.
        noise_scales: of ``anchor_noise_<scale>``.
        noise_candidates: of which validation images choose for ``anchor_noise_<scale>_selected``;
            None is no such method.
        halo: tokens of context on each side of a window; None is an eighth of the window.
        precision: of the autoencoder's matrix products.
    """

    anchors: int
    samples: int
    noise_scales: Sequence[float]
    noise_candidates: int | None
    halo: int | None
    precision: Precision = "float32"
