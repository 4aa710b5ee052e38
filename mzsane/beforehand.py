"""What can be known to be wrong with a run before a zoo is built for it."""

import warnings

from omegaconf import DictConfig, OmegaConf

from mzsane.runs import leads
from mzsane.trainers import trainer_of, warn_of_no_validation


def check_beforehand(cfg: DictConfig, settings: DictConfig) -> None:
    """Refuse what would end a run after minutes of work for it; tell what it would leave undone.

    Args:
        cfg: of the run.
        settings: of its trainer, see `mzsane.devices.trainer_settings`.

    Raises:
        ValueError: the trainer cannot run here, its processes cannot share a batch, an epoch has
            none, or the mixture names what is no source.
    """
    from mzsane.data import check_batches, mixture

    data = OmegaConf.to_container(cfg.data, resolve=True)
    mixing = {name: data[name] for name in ("mix", "temperature") if name in data}
    mixture(dict.fromkeys(cfg.zoo.sources, 1), **{"mix": "proportional", **mixing})
    if data.get("pack") and cfg.model.get("pooling") == "concatenate" and leads():
        warnings.warn(
            "data.pack=true: the projection head of model.pooling=concatenate learns what stands "
            "at each place of a window, which in packed windows means nothing; model.pooling=mean "
            "does not",
            stacklevel=1,
        )
    trainer = trainer_of(settings, callbacks=[], logger=False, enable_checkpointing=False)
    if {"batch_size", "samples_per_epoch"} <= data.keys():
        check_batches(data["batch_size"], data["samples_per_epoch"], trainer.world_size)
        if leads():
            warn_of_no_validation(trainer, data["samples_per_epoch"] // data["batch_size"])
    if leads():
        _warn_of_short_tables(cfg)


def _warn_of_short_tables(cfg: DictConfig) -> None:
    """Tell tables that a network may outgrow, of which only its store can say."""
    rows = cfg.model.get("max_positions")
    learned = cfg.model.get("positions") == "learned"
    if learned and rows and rows[0] < cfg.data.get("window", 0):
        warnings.warn(
            f"model.max_positions: {rows[0]} rows for tokens are fewer than data.window="
            f"{cfg.data.window}; networks of more tokens than that are refused",
            stacklevel=1,
        )
