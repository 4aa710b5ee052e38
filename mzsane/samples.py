"""The files of generated models, and what is told about them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mzsane
from mzsane.files import replacing

if TYPE_CHECKING:
    from mzsane.populations import Population

MODELS, TABLE = "models", "samples.json"


class Samples:
    """A folder of generated models: one file each, and `samples.json` about all of them.

    Files are whole or absent, and the table comes last. A model with a weight that is NaN or
    infinite is not written but counted; it is not replaced, so that what is left are the draws
    that the seed gives.

    Args:
        folder: of the run.
        provenance: what all models have in common, plain values.
    """

    def __init__(self, folder: Path, provenance: Mapping[str, Any]) -> None:
        self._folder = folder / MODELS
        self._provenance = {**provenance, "mzsane": mzsane.__version__}
        self._broken: list[int] = []
        self._scores: Sequence[float] = ()
        self._unscored = 0

    def has(self, first: int, count: int) -> bool:
        """Whether these models were written before."""
        return all(self._file(number).is_file() for number in range(first, first + count))

    def scored(self, scores: Sequence[float], broken: int) -> None:
        """Note what a selection found: accuracies on validation images, candidates without."""
        self._scores, self._unscored = scores, broken

    def write(self, first: int, population: "Population") -> None:
        """Write models, numbered from `first` on, under the names of their state dict."""
        from safetensors.torch import save

        from mzsane.sampling import are_finite

        for number, finite in enumerate(are_finite(population).tolist(), first):
            if not finite:
                self._broken.append(number)
                continue
            state = population.state(number - first)
            about = {"index": number, **self._about(number), **self._provenance}
            about["architecture"] = population.architecture.to_json()
            metadata = {"format": "pt", "mzsane": json.dumps(about)}
            with replacing(self._file(number)) as partial:
                partial.write_bytes(
                    save({name: t.cpu().contiguous() for name, t in state.items()}, metadata)
                )

    def finish(self, summary: Path) -> str:
        """Write what is told about all of them; returns it in a sentence.

        Raises:
            ValueError: none of the models consists of numbers.
        """
        numbers = sorted(int(path.stem.rpartition("_")[2]) for path in self._written())
        if not numbers:
            raise ValueError(
                f"all {len(self._broken)} models have weights that are NaN or infinite, and none "
                "is written; take another sampler, a smaller bandwidth or another checkpoint"
            )
        models = [
            {"file": f"{MODELS}/{self._file(n).name}", "index": n, **self._about(n)}
            for n in numbers
        ]
        told = f"{len(numbers)} models written"
        if self._broken:
            told += f", {len(self._broken)} left out because a weight is NaN or infinite"
        if self._unscored:
            told += f"; {self._unscored} candidates of the selection were so, too"
        excluded = {"excluded": self._broken, "candidates without numbers": self._unscored}
        table = {**self._provenance, **excluded, "models": models}
        with replacing(self._folder.parent / TABLE) as partial:
            partial.write_text(json.dumps(table, indent=2) + "\n")
        with replacing(summary) as partial:
            partial.write_text(f"# Samples\n\n{told}. `{TABLE}` says how each came to be.\n")
        return told

    def _about(self, number: int) -> dict[str, float]:
        """What is known of one model."""
        if number >= len(self._scores):
            return {}
        return {"validation accuracy": self._scores[number]}

    def _file(self, number: int) -> Path:
        return self._folder / f"sample_{number:05d}.safetensors"

    def _written(self) -> list[Path]:
        return sorted(self._folder.glob("sample_*.safetensors"))
