"""What became of a zoo when it was stored."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from mzsane.zoos import Skipped


@dataclass(frozen=True)
class Report:
    """Kept inside the store and returned by `write_store`.

    Attributes:
        taken: checkpoints stored.
        models: networks they belong to.
        skipped: members left out, each with its reason.
        rounded: checkpoints whose weights had more digits than the store.
        rounding: largest absolute difference between a weight and what was stored of it.
        untraced: architectures stored without symmetry, each with its reason.
        similarity_before: mean cosine between a checkpoint and its reference over the tensors that
            the symmetry moves; None where nothing was aligned.
        similarity_after: the same, in canonical form.
    """

    taken: int
    models: int
    skipped: tuple[Skipped, ...] = ()
    rounded: int = 0
    rounding: float = 0.0
    untraced: tuple[str, ...] = ()
    similarity_before: float | None = None
    similarity_after: float | None = None

    def to_json(self) -> str:
        """All fields."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Inverse of `to_json`."""
        fields = json.loads(text)
        fields["skipped"] = tuple(Skipped(*member) for member in fields["skipped"])
        fields["untraced"] = tuple(fields["untraced"])
        return cls(**fields)

    def __str__(self) -> str:
        """A few lines for people."""
        lines = [f"{self.taken} checkpoints of {self.models} models stored"]
        if self.similarity_after is not None:
            lines.append(
                f"aligned: similarity to the reference {self.similarity_before:.3f} before, "
                f"{self.similarity_after:.3f} after"
            )
        if self.rounded:
            lines.append(f"{self.rounded} rounded, by {self.rounding:.2g} at most")
        lines += [f"without symmetry: {reason}" for reason in self.untraced]
        if self.skipped:
            lines.append(f"{len(self.skipped)} skipped: {first_reasons(self.skipped)}")
        return "\n".join(lines)


def first_reasons(skipped: Sequence[Skipped], count: int = 3) -> str:
    """The first few members left out and why."""
    told = "; ".join(f"{path}: {reason}" for path, reason in skipped[:count])
    return told + ("; ..." if len(skipped) > count else "")
