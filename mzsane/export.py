"""Make a folder to keep or share of a checkpoint of a run: weights, settings, a page for people.

python -m mzsane.export runs/train/TIME/checkpoints/best.ckpt exported/my-sane
python -m mzsane.export runs/train/TIME/checkpoints/best.ckpt exported/my-sane --push owner/my-sane
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from mzsane.config import build_all
from mzsane.opening import load_checkpoint, model_of, not_a_record, recorded

if TYPE_CHECKING:
    from mzsane.models import Card, Sane


def open_checkpoint(path: Path, licence: str | None = None) -> "tuple[Sane, Card]":
    """The autoencoder in a checkpoint of a run, and what its run folder tells of it.

    Args:
        path: a file in `checkpoints/` of a run folder.
        licence: under which the weights are shared, as the hub spells it.

    Raises:
        FileNotFoundError: there is no such file, or no `config.yaml` in the run's folder.
        ValueError: it is damaged, contains code, or is of a model that the run does not describe.
    """
    checkpoint, cfg = load_checkpoint(path), recorded(path)
    model = model_of(cfg, checkpoint["state_dict"], path)
    try:
        return model, _card(cfg, path.absolute().parents[1], checkpoint, licence)
    except OmegaConfBaseException as error:
        raise not_a_record(path, error) from error


def _card(
    cfg: DictConfig, folder: Path, checkpoint: Mapping[str, Any], licence: str | None
) -> "Card":
    from mzsane.models import Card

    step = int(checkpoint["global_step"])
    training = {
        "seed": cfg.seed,
        "steps": step,
        "batch size": cfg.data.batch_size,
        "window": cfg.data.window,
        **{f"tokens.{name}": value for name, value in cfg.tokens.items()},
    }
    zoo = {str(name): _source(cfg, source.store) for name, source in cfg.zoo.sources.items()}
    return Card(zoo, training, _metrics(folder / "logs" / "csv", step), licence)


def _source(cfg: DictConfig, path: str) -> dict[str, int | str]:
    """How many models of a source were trained on; where its store is gone, what was asked for."""
    from mzsane.stores import TokenStore

    if not Path(path).is_file():
        return {"training models": "all" if cfg.zoo.num_models is None else cfg.zoo.num_models}
    store = TokenStore.open(path).filtered(build_all(cfg.zoo.filters))
    rows = store.select("train", cfg.zoo.num_models, cfg.zoo.epochs)
    shelves = [(shelf, chosen) for shelf, chosen in zip(store.architectures, rows, strict=True)]
    models = {shelf.models[row] for shelf, chosen in shelves for row in chosen}
    names = [shelf.architecture.name for shelf, _ in shelves if shelf.architecture]
    return {
        "training models": len(models),
        "checkpoints of them": sum(map(len, rows)),
        "architectures": ", ".join(sorted(set(names))) or "unknown",
        "content hash": store.content_hash,
    }


def _metrics(folder: Path, step: int) -> dict[str, float]:
    """What validation last found before the checkpoint was written; nothing where nothing is."""
    from mzsane.reports import merge_metrics, read_metrics

    if not any(folder.glob("version_*/metrics.csv")):
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        merge_metrics(folder, Path(scratch) / "metrics.csv")
        rows = read_metrics(Path(scratch) / "metrics.csv")
    found = [row for row in rows if row["step"] < step]  # the row of a step has its index
    return {name: row[name] for row in found for name in sorted(row) if name.startswith("val/")}


def main() -> None:
    """Entry point of `python -m mzsane.export`."""
    parser = argparse.ArgumentParser(
        prog="mzsane.export", description="A pretrained model as a folder to keep or share."
    )
    parser.add_argument("checkpoint", type=Path, help="in checkpoints/ of a run's folder")
    parser.add_argument("folder", type=Path, help="where model, settings and page are written")
    parser.add_argument("--licence", help="of the weights, as the hub spells it (cc-by-4.0)")
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload it to the Hugging Face hub")
    parser.add_argument("--public", action="store_true", help="of a repository that is made")
    arguments = parser.parse_args()
    try:
        model, card = open_checkpoint(arguments.checkpoint, arguments.licence)
        model.save_pretrained(arguments.folder, card)
        print(f"{arguments.folder}: {model.num_parameters:,} parameters")
        if arguments.push:
            print(model.push_to_hub(arguments.push, card, private=not arguments.public))
    except (ValueError, OSError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        sys.exit(f"mzsane: {error}")


if __name__ == "__main__":
    main()
