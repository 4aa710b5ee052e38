"""What is known of channels before their order is: the weights beside inputs and outputs.

A first layer's rows, a classifier's columns and biases move with one group of channels only. So
they can be compared with those of another model channel by channel, whatever the order. Noise of
equal size on all weights hides little of this: it adds the same to the distances to all models.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mzsane.symmetry.groups import Symmetry
from mzsane.symmetry.views import fold, plan

FEATURES = 64
"""Of a channel; more weights are projected onto as many random directions."""

PART = 2**24
"""Pairs of channels in memory at once."""

Faces = tuple[Float[Tensor, "... _ _"], ...]
"""For each group that has such weights: ``[channels, features]``, or several models stacked."""


class Facing:
    """Reads the weights beside inputs and outputs.

    Args:
        state: state dict of any model of the architecture.
        symmetry: its groups.

    Raises:
        ValueError: the state dict lacks a tensor of the symmetry.
    """

    def __init__(self, state: Mapping[str, Tensor], symmetry: Symmetry) -> None:
        found = plan(state, symmetry)
        views = ([found.views[i] for i in own] for own in found.own)
        alone = ([view for view in each if not view.partners] for each in views)
        self._views = [each for each in alone if each]

    def __call__(self, state: Mapping[str, Tensor]) -> Faces:
        """Those of one model."""
        return tuple(
            _projected(
                np.concatenate([fold(state, view).reshape(view.size, -1) for view in views], 1)
            )
            for views in self._views
        )


def facing_distances(one: Faces, others: Faces) -> Float[Tensor, " models"]:
    """Squared distance of a model to others: of each channel to the nearest, added up.

    Where nothing is projected, this bounds the squared distance of the models from below, under
    every order of channels.

    Args:
        one: of a single model.
        others: of several, stacked.
    """
    return torch.stack(
        [_group_distances(mine, theirs) for mine, theirs in zip(one, others, strict=True)]
    ).sum(0)


def _group_distances(
    mine: Float[Tensor, "channels features"], theirs: Float[Tensor, "models channels features"]
) -> Float[Tensor, " models"]:
    parts = theirs.split(max(1, PART // len(mine) ** 2))
    return torch.cat([torch.cdist(mine, part).square().min(-1).values.sum(-1) for part in parts])


def _projected(
    weights: Float[np.ndarray, "channels weights"],
) -> Float[Tensor, "channels features"]:
    """Onto the same directions for all models; distances stay nearly what they are."""
    size = weights.shape[1]
    if size > FEATURES:
        directions = np.random.default_rng([size]).standard_normal((size, FEATURES), np.float32)
        weights = weights @ (directions / FEATURES**0.5)
    return torch.from_numpy(weights)
