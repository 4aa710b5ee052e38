"""The files of generated models, and what is told about them."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mzsane
from mzsane.files import replacing

if TYPE_CHECKING:
    from mzsane.populations import Population

MODELS, TABLE = "models", "samples.json"


class Samples:
    """A folder of generated models: one file each, and `samples.json` about all of them.

    Files are whole or absent, are never written twice, and the table comes last. A model with a
    weight that is NaN or infinite is not written but counted; it is not replaced, so that what is
    left are the draws that the seed gives.

    Args:
        folder: of the run.
        provenance: what all models have in common, plain values.
        device: that they are made on; as versions, told and not required to stay the same.

    Raises:
        ValueError: the folder has models of another provenance, or files that cannot be read.
    """

    def __init__(self, folder: Path, provenance: Mapping[str, Any], device: str = "cpu") -> None:
        self._folder = folder / MODELS
        made = {"mzsane": mzsane.__version__, "torch": version("torch"), "device": device}
        self._provenance = {**provenance, **made}
        self._broken: list[int] = []
        self._scores: Sequence[float] = ()
        self._unscored = 0
        for path in self._written():
            self._require_ours(path)

    def has(self, first: int, count: int) -> bool:
        """Whether these models were written before."""
        return all(self._file(number).is_file() for number in range(first, first + count))

    def scored(self, scores: Sequence[float], broken: int) -> None:
        """Note what a selection found: accuracies on validation images, candidates without."""
        self._scores, self._unscored = scores, broken

    def write(self, first: int, population: "Population", mended: Sequence[int] = ()) -> None:
        """Write models, numbered from `first` on, under the names of their state dict.

        Args:
            first: number of the first.
            population: the models; what is written already stays.
            mended: of each, running variances that `mzsane.sampling.mend` has replaced.
        """
        from safetensors.torch import save

        from mzsane.sampling import are_finite

        for number, finite in enumerate(are_finite(population).tolist(), first):
            if not finite:
                self._broken.append(number)
                continue
            if self.has(number, 1):
                continue
            state = population.state(number - first)
            replaced = {"mended variances": mended[number - first]} if any(mended) else {}
            about = {"index": number, **self._scored(number), **replaced, **self._provenance}
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
        models = [self._entry(path) for path in self._written()]
        if not models:
            raise ValueError(
                f"all {len(self._broken)} models have weights that are NaN or infinite, and none "
                "is written; take another sampler, a smaller bandwidth or another checkpoint"
            )
        told = self._told(models)
        excluded = {"excluded": self._broken, "candidates without numbers": self._unscored}
        table = {**self._provenance, **excluded, "models": models}
        with replacing(self._folder.parent / TABLE) as partial:
            partial.write_text(json.dumps(table, indent=2) + "\n")
        with replacing(summary) as partial:
            partial.write_text(f"# Samples\n\n{told}. `{TABLE}` says how each came to be.\n")
        return told

    def _told(self, models: Sequence[Mapping[str, Any]]) -> str:
        """A sentence about these models and those that are left out."""
        told = f"{len(models)} models written"
        if self._broken:
            told += f", {len(self._broken)} left out because a weight is NaN or infinite"
        if self._unscored:
            told += f"; {self._unscored} candidates of the selection were so, too"
        if mended := sum(model.get("mended variances", 0) for model in models):
            told += f"; {mended} running variances were decoded to zero or less, and replaced"
        return told

    def _entry(self, path: Path) -> dict[str, Any]:
        """What its file says of one model beyond what all have in common."""
        own = {k: v for k, v in _metadata(path).items() if k not in self._provenance}
        return {"file": f"{MODELS}/{path.name}", **own}

    def _require_ours(self, path: Path) -> None:
        """Refuse to go on with models that came to be in another way.

        The architecture may have another head; versions and the device may be others.
        """
        wanted, found = json.loads(json.dumps(self._provenance)), _metadata(path)
        for key in wanted.keys() - {"architecture", "mzsane", "torch", "device"}:
            if found.get(key) != wanted[key]:
                raise ValueError(
                    f"{path}: was written with another {key}; give another hydra.run.dir, or "
                    "resume=false, so that nothing is overwritten"
                )

    def _scored(self, number: int) -> dict[str, float]:
        """What a selection knows of one model."""
        if number >= len(self._scores):
            return {}
        return {"validation accuracy": self._scores[number]}

    def _file(self, number: int) -> Path:
        return self._folder / f"sample_{number:05d}.safetensors"

    def _written(self) -> list[Path]:
        return sorted(self._folder.glob("sample_*.safetensors"))


def _metadata(path: Path) -> dict[str, Any]:
    """What a file says of how its model came to be."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return json.loads((file.metadata() or {})["mzsane"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: not written by this command; move it elsewhere") from error
