"""Where the running statistics of generated models come from."""

from typing import Literal, get_args

from mzsane.sampling.generate import VARIANCE
from mzsane.tokens import Layout

Conditioning = Literal["decoded", "train", "validation", "none"]
"""``decoded`` from latents, ``train`` or ``validation`` images, ``none``: those of the anchors."""


def conditioning_of(wanted: str | None, layout: Layout) -> Conditioning:
    """What a user asks for, or else what suits: decoded where they are tokens, else validation.

    Networks without running statistics need ``none`` of this.

    Raises:
        ValueError: the word is unknown, or statistics should be decoded that are no tokens.
    """
    if wanted is not None and wanted not in get_args(Conditioning):
        raise ValueError(f"conditioning={wanted}: choose from {', '.join(get_args(Conditioning))}")
    if not any(name.endswith(VARIANCE) for name, _, _ in layout.shapes):
        return "none"
    grouped = layout.batchnorm == "grouped"
    if wanted == "decoded" and not grouped:
        raise ValueError(
            "conditioning=decoded: running statistics are no tokens of this autoencoder "
            f"(tokens.batchnorm={layout.batchnorm}); take validation or train"
        )
    return wanted or ("decoded" if grouped else "validation")
