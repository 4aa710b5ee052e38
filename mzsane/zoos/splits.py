"""Splits of a zoo by model, from names alone.

A model's place depends on its name and on nothing else: not on the listing of a folder, not on the
other models, not on how many there are. All epochs of a model fall into one split, and a zoo can
grow without moving a model from one split to another.
"""

from collections.abc import Sequence
from hashlib import sha256

SPLITS = ("train", "validation", "test")


def split_of(model: str, fractions: Sequence[float] = (0.7, 0.15, 0.15)) -> str:
    """The split of a model: ``"train"``, ``"validation"`` or ``"test"``.

    Args:
        model: the model's name.
        fractions: expected shares of the three splits, summing to 1. A split may be empty in a
            zoo of a few models, since each model falls by itself.

    Raises:
        ValueError: if the fractions are not three shares of one whole.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(
            f"fractions={tuple(fractions)}: give three shares, not negative, that sum to 1, "
            "for train, validation and test"
        )
    place = _uniform(f"split {model}")
    if place < fractions[0]:
        return "train"
    return "validation" if place < fractions[0] + fractions[1] else "test"


def order(model: str, seed: int = 0) -> float:
    """A model's place in [0, 1) in a random order of the zoo, independent of its split.

    Taking the first ``num_models`` in this order gives nested subsets: the 25 models of a small
    zoo are among the 50 of a larger one. `seed` draws another order.
    """
    return _uniform(f"order {seed} {model}")


def _uniform(text: str) -> float:
    """A number in [0, 1) that is a function of the text: the first 53 bits of its SHA-256."""
    return (int.from_bytes(sha256(text.encode()).digest()[:8], "big") >> 11) / 2**53
