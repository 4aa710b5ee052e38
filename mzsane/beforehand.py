"""What can be known to be wrong with a run before a zoo is built for it."""

import warnings

from omegaconf import DictConfig, OmegaConf

from mzsane.runs import leads
from mzsane.trainers import trainer_of


def check_beforehand(cfg: DictConfig) -> None:
    """Refuse what would end a run after minutes of work for it.

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
    trainer = trainer_of(cfg.trainer, callbacks=[], logger=False, enable_checkpointing=False)
    if {"batch_size", "samples_per_epoch"} <= data.keys():
        check_batches(data["batch_size"], data["samples_per_epoch"], trainer.world_size)
