"""What became of a zoo when it was stored."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mzsane.stores.shelf import Shelf
from mzsane.zoos import Skipped


@dataclass(frozen=True)
class Report:
    """What a store holds of its zoo, and what it does not.

    Attributes:
        taken: checkpoints stored.
        models: networks they belong to.
        architectures: one line for each kind of network.
        skipped: members left out, each with its reason.
        rounded: checkpoints whose weights had more digits than the store.
        rounding: largest absolute difference between a weight and what was stored of it.
        relative: norm of these differences as a share of the norm of the weights, of the
            checkpoint where that is largest.
        left_out: by each filter, in words.
        remarks: what was recognised, assumed, or given by hand.
        untraced: architectures stored without symmetry, each with its reason.
        similarity_before: mean cosine between a checkpoint and its reference over the tensors that
            the symmetry moves; None where nothing was aligned.
        similarity_after: the same, in canonical form.
    """

    taken: int
    models: int
    architectures: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    rounded: int = 0
    rounding: float = 0.0
    relative: float = 0.0
    left_out: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    untraced: tuple[str, ...] = ()
    similarity_before: float | None = None
    similarity_after: float | None = None

    @classmethod
    def of(
        cls, shelves: Sequence[Shelf], skipped: Sequence[Skipped], left_out: Sequence[str] = ()
    ) -> "Report":
        """The report of a store."""
        rounding = np.concatenate([shelf.ledger.rounding for shelf in shelves])
        similarity = np.concatenate([shelf.ledger.similarity for shelf in shelves])
        aligned = similarity[~np.isnan(similarity).any(axis=1)]
        before, after = aligned.mean(axis=0).tolist() if len(aligned) else (None, None)
        return cls(
            taken=len(rounding),
            models=len({str(model) for shelf in shelves for model in shelf.models}),
            architectures=tuple(_line(shelf) for shelf in shelves),
            skipped=tuple(skipped),
            rounded=int((rounding[:, 0] > 0).sum()),
            rounding=float(rounding[:, 0].max()),
            relative=float(rounding[:, 1].max()),
            left_out=tuple(left_out),
            remarks=tuple(dict.fromkeys(each for shelf in shelves for each in _remarks(shelf))),
            untraced=tuple(shelf.untraced for shelf in shelves if shelf.untraced),
            similarity_before=before,
            similarity_after=after,
        )

    def to_json(self) -> str:
        """All fields."""
        return json.dumps(asdict(self))

    def __str__(self) -> str:
        """A few lines for people."""
        lines = [f"{self.taken} checkpoints of {self.models} models stored"]
        if len(self.architectures) > 1:
            lines += [f"of {len(self.architectures)} kinds:", *self.architectures]
        if self.similarity_after is not None:
            lines.append(
                f"aligned: similarity to the reference {self.similarity_before:.3f} before, "
                f"{self.similarity_after:.3f} after"
            )
        if self.rounded:
            lines.append(
                f"{self.rounded} rounded, by {self.rounding:.2g} at most, {self.relative:.1%} of "
                "a model's norm"
            )
        lines += [f"filter {each}" for each in self.left_out]
        lines += self.remarks
        lines += [f"without symmetry: {reason}" for reason in self.untraced]
        if self.skipped:
            lines.append(f"{len(self.skipped)} skipped: {first_reasons(self.skipped)}")
        return "\n".join(lines)


def first_reasons(skipped: Sequence[Skipped], count: int = 3) -> str:
    """The first few members left out and why."""
    told = "; ".join(f"{path}: {reason}" for path, reason in skipped[:count])
    return told + ("; ..." if len(skipped) > count else "")


def _remarks(shelf: Shelf) -> list[str]:
    return [*shelf.recognised, *filter(None, [shelf.by_hand])]


def _line(shelf: Shelf) -> str:
    name = shelf.architecture.name if shelf.architecture else "unknown"
    return f"{name}: {len(shelf)} checkpoints of {shelf.layout.parameters} weights"
