"""Where the running statistics of generated models come from."""

import logging
from typing import Literal, get_args

from mzsane.sampling.generate import VARIANCE
from mzsane.tokens import Layout

LOG = logging.getLogger(__name__)

Conditioning = Literal["decoded", "train", "validation", "none"]
"""``decoded`` from latents, ``train`` or ``validation`` images, ``none``: those of the anchors."""


def conditioning_of(wanted: str | None, layout: Layout) -> Conditioning:
    """What a user asks for, or else what suits: decoded where they are tokens, else validation.

    Networks without running statistics need ``none`` of this, whatever is asked for; see
    `warn_if_idle`.

    Raises:
        ValueError: the word is unknown, or statistics should be decoded that are no tokens.
    """
    if wanted is not None and wanted not in get_args(Conditioning):
        raise ValueError(f"conditioning={wanted}: choose from {', '.join(get_args(Conditioning))}")
    if not has_statistics(layout):
        return "none"
    grouped = layout.batchnorm == "grouped"
    if wanted == "decoded" and not grouped:
        raise ValueError(
            "conditioning=decoded: running statistics are no tokens of this autoencoder "
            f"(tokens.batchnorm={layout.batchnorm}); take validation or train"
        )
    return wanted or ("decoded" if grouped else "validation")


def warn_if_idle(wanted: str | None, layout: Layout, source: str) -> None:
    """Log that a user's choice changes nothing, where networks have no running statistics."""
    if wanted not in (None, "none") and not has_statistics(layout):
        LOG.warning(
            "conditioning=%s changes nothing for %s: its networks have no running statistics",
            wanted,
            source,
        )


def has_statistics(layout: Layout) -> bool:
    """Whether the networks have BatchNorm that keeps statistics."""
    return any(name.endswith(VARIANCE) for name, _, _ in layout.shapes)
