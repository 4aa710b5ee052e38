"""Pretrain on a zoo, then sample, evaluate and report.

python -m mzsane.train                                    # the embedded default, offline
python -m mzsane.train zoo=digits model=sane_tiny seed=1
python -m mzsane.train -m zoo=digits,printed,digits+printed
"""

import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from mzsane.config import build, build_all, check
from mzsane.entry import run
from mzsane.runs import claim, record


def train(cfg: DictConfig) -> dict[str, float]:
    """Fit what `cfg` describes, evaluate it, write the report, and return the final metrics."""
    check(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    with claim(folder):
        record(folder, cfg)
        return _train(cfg, folder)


def _train(cfg: DictConfig, folder: Path) -> dict[str, float]:
    import pytorch_lightning as pl  # 4 s: not before --help and --cfg have answered

    started = time.time()
    zoo = build(cfg.zoo)
    data = build(cfg.data, stores=zoo.prepare(cfg.tokens, workers=cfg.workers), zoo=zoo)
    pl.seed_everything(cfg.seed, workers=True)
    model = build(cfg.model, d_token=data.d_token, window=data.window)
    trainer = build(
        cfg.trainer,
        default_root_dir=folder,
        callbacks=list(_callbacks(cfg, data).values()),
        logger=list(build_all(cfg.logger).values()),
    )
    system = build(
        cfg.system,
        model=model,
        loss=build(cfg.loss),
        optimizer=build(cfg.optimizer),
        scheduler=build(cfg.scheduler),
        total_steps=data.total_steps(trainer.max_epochs, trainer.max_steps),
        sources=tuple(data.stores),
    )
    last = folder / "checkpoints" / "last.ckpt"
    trainer.fit(system, datamodule=data, ckpt_path=last if last.exists() else None)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def main() -> None:
    """The console script `mzsane`."""
    run(train, "train")


if __name__ == "__main__":
    main()
