"""Pretrain on a zoo, then sample, evaluate and report.

python -m mzsane.train                                    # the embedded default, offline
python -m mzsane.train zoo=digits model=sane_tiny seed=1
python -m mzsane.train -m zoo=digits,printed,digits+printed
"""

import logging
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mzsane.answering import networks_of
from mzsane.beforehand import check_beforehand
from mzsane.checking import check
from mzsane.config import CONF_DIR, build, build_all
from mzsane.devices import trainer_settings
from mzsane.entry import run
from mzsane.preprocess import stores_of
from mzsane.report import report
from mzsane.runs import claim, leads, record
from mzsane.starting import checkpoint_of, start_from
from mzsane.trainers import in_a_sentence, trainer_of

if TYPE_CHECKING:
    from mzsane.data import ZooData
    from mzsane.images import ImageSet
    from mzsane.stores import Source


def train(cfg: DictConfig) -> dict[str, float]:
    """One run from its configuration to `summary.md`; returns the metrics logged last."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    check(cfg)
    if not leads():
        return fit(cfg, folder)
    with claim(folder):
        record(folder, cfg)
        started = time.monotonic()
        metrics = fit(cfg, folder)
        minutes = (time.monotonic() - started) / 60
        report(folder, {"seed": cfg.seed, "minutes since the last start": f"{minutes:.1f}"})
        if not (folder / "results.csv").exists():  # whose table was printed
            _tell(metrics)
    return metrics


def fit(cfg: DictConfig, folder: Path) -> dict[str, float]:
    """Train, or go on from `checkpoints/last.ckpt`; sample and evaluate as the callbacks say."""
    import pytorch_lightning as pl  # slow to import, and --help and --cfg need it not

    from mzsane.tokens import KINDS

    _quieten()
    settings = trainer_settings(cfg)
    check_beforehand(cfg, settings)
    sources = build_all(cfg.zoo.sources)
    data = build(cfg.data, stores=stores_of(cfg, sources))
    callbacks = callbacks_of(cfg, sources, data)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    model = build(cfg.model, d_token=data.d_token, window=data.window)
    model.check_positions([size - 1 for size in data.max_positions])
    if (last := checkpoint_of(folder, model)) is None:
        start_from(model, cfg.pretrained)
    trainer = trainer_of(
        settings,
        default_root_dir=str(folder),
        callbacks=callbacks,
        logger=loggers_of(cfg),
    )
    loss = build(cfg.loss)
    system = build(
        cfg.system,
        model=model,
        loss=loss,
        optimizer=build(cfg.optimizer),
        scheduler=build(cfg.scheduler),
        total_steps=data.total_steps(
            trainer.max_epochs, trainer.max_steps, trainer.accumulate_grad_batches
        ),
        sources=data.sources,
        networks=networks_of(loss, sources, data),
        kinds=KINDS,
    )
    with in_a_sentence():
        trainer.fit(system, datamodule=data, ckpt_path=last, weights_only=True)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def _tell(metrics: Mapping[str, float]) -> None:
    """Print what validation last found."""
    for name in sorted(name for name in metrics if name.startswith("val/")):
        print(f"{name}  {metrics[name]:.4g}")


def _quieten() -> None:
    """Leave out what Lightning and torch say at each start and no user can act on."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    # Lightning 2.6.6 uses what torch 2.13 deprecates
    warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated")
    warnings.filterwarnings("ignore", "torch.distributed.nn.functional.all_gather is deprecated")
    # figures of an epoch are sums over all ranks already
    warnings.filterwarnings("ignore", r"It is recommended to use `self.log\(.*sync_dist=True")
    warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")  # as it may


def loggers_of(cfg: DictConfig) -> list[Any]:
    """The loggers; that of CSV files, from which the report is made, is always among them."""
    from pytorch_lightning.loggers import CSVLogger

    loggers = list(build_all(cfg.logger).values())
    if not any(isinstance(logger, CSVLogger) for logger in loggers):
        loggers = [*build_all(OmegaConf.load(CONF_DIR / "logger" / "csv.yaml")).values(), *loggers]
    return loggers


def callbacks_of(cfg: DictConfig, sources: "Mapping[str, Source]", data: "ZooData") -> list[Any]:
    """The callbacks; one left open (`_partial_`) is given the study of this run.

    Without `trainer.enable_progress_bar` no bar is among them, which Lightning would refuse.
    """
    from pytorch_lightning.callbacks import ProgressBar

    callbacks = build_all(cfg.callbacks)
    if not cfg.trainer.get("enable_progress_bar", True):
        callbacks = {n: one for n, one in callbacks.items() if not isinstance(one, ProgressBar)}
    if any(isinstance(callback, partial) for callback in callbacks.values()):
        images = images_of(cfg, sources)
        study = build(
            cfg.evaluation,
            stores=data.stores,
            images=images,
            samplers=build_all(cfg.sampler),
            protocols=build_all(cfg.protocol),
        )
        callbacks = {
            name: callback(study=study) if isinstance(callback, partial) else callback
            for name, callback in callbacks.items()
        }
    return list(callbacks.values())


def images_of(
    cfg: DictConfig, sources: "Mapping[str, Source]"
) -> "dict[str, Callable[[], ImageSet]]":
    """The image sets that the zoo was trained on and those of `evaluation.images`.

    Raises:
        ValueError: one of them cannot be loaded, which is better known before training.
    """
    from mzsane.images import name_of

    own = (source.images for source in sources.values() if source.images is not None)
    images = {name_of(load): load for load in own}
    more = cfg.evaluation.get("images", {})
    images = {name: images[name] for name in images if more.get(name, "") is not None}
    images |= build_all(more)
    if leads():
        for name, load in images.items():
            _loadable(name, load)
    return images


def _loadable(name: str, load: "Callable[[], ImageSet]") -> None:
    try:
        load()
    except (ValueError, OSError) as error:
        raise ValueError(
            f"{error}; ++evaluation.images.{name}=null evaluates without these images"
        ) from error


def main() -> None:
    """The console script `mzsane`."""
    run(train, "train")


if __name__ == "__main__":
    main()
