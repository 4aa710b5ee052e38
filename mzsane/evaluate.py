"""Hold the samples of a pretrained autoencoder against every baseline.

python -m mzsane.evaluate checkpoint=runs/train/TIME                  # the zoo it was trained on
python -m mzsane.evaluate checkpoint=runs/train/TIME protocol=[zero_shot,finetuned,transfer]
python -m mzsane.evaluate checkpoint=runs/train/TIME images=cifar100
python -m mzsane.evaluate checkpoint=owner/name zoo=digits image_sets=[digits,mnist5k]
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mzsane.analysing import device_of
from mzsane.checking import check
from mzsane.config import build, build_all
from mzsane.entry import run
from mzsane.opened_zoo import zoo_of
from mzsane.opening import Opened, load_checkpoint, open_model
from mzsane.report import report
from mzsane.runs import claim, record
from mzsane.train import images_of

if TYPE_CHECKING:
    from mzsane.evaluation import Study
    from mzsane.images import ImageSet


def evaluate(cfg: DictConfig) -> None:
    """One evaluation from its configuration to `summary.md`."""
    from mzsane.evaluation import remove_blocks, write_rows
    from mzsane.progress import bars

    folder = Path(HydraConfig.get().runtime.output_dir)
    check(cfg)
    with claim(folder):
        record(folder, cfg)
        started = time.monotonic()
        opened = open_model(cfg.checkpoint, cfg.heads)
        study = study_of(cfg, opened)
        with bars() as progress:
            model = opened.model.to(device_of(cfg.device))
            rows = study.run(model, step_of(opened), progress, folder)
        if not rows:
            raise ValueError("nothing to evaluate: " + "; ".join(study.misfits()))
        write_rows(folder / "results.csv", rows)
        remove_blocks(folder)
        minutes = (time.monotonic() - started) / 60
        facts = {"autoencoder": opened.name, "autoencoder_sha256": opened.hash, "seed": cfg.seed}
        report(folder, facts | {"minutes since the last start": f"{minutes:.1f}"})


def study_of(cfg: DictConfig, opened: Opened) -> "Study":
    """The study that a configuration describes, on the zoo that it names."""
    zoo = zoo_of(opened, cfg)
    return build(
        cfg.evaluation,
        stores=zoo.stores,
        images=_named(cfg) or images_of(cfg, zoo.sources),
        samplers=build_all(cfg.sampler),
        protocols=build_all(cfg.protocol),
        num_models=zoo.cfg.zoo.num_models,
        epochs=zoo.cfg.zoo.epochs,
    )


def _named(cfg: DictConfig) -> "dict[str, Callable[[], ImageSet]]":
    """The image sets that a user names, by `images`, `image_sets` or both."""
    named = build_all(cfg.image_sets)
    if cfg.images:
        images = build(cfg.images)()
        named[images.name] = lambda: images
    return named


def step_of(opened: Opened) -> int:
    """Of the training that the checkpoint was written in; 0 where that is not known."""
    path = Path(opened.name)
    return int(load_checkpoint(path)["global_step"]) if path.suffix == ".ckpt" else 0


def main() -> None:
    """Entry point of `python -m mzsane.evaluate`."""
    run(evaluate, "evaluate")


if __name__ == "__main__":
    main()
