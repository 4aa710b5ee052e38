"""What can be known to be wrong with a run before a zoo is built for it."""

import warnings

from omegaconf import DictConfig, OmegaConf

from mzsane.runs import leads
from mzsane.trainers import trainer_of


def check_beforehand(cfg: DictConfig) -> None:
    """Refuse what would end a run after minutes of work for it.

    Raises:
        ValueError: the trainer cannot run here, its processes cannot share a batch, or the mixture
            names what is no source.
    """
    from mzsane.data import mixture

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
    size = data.get("batch_size")
    if size is not None and size % trainer.world_size:
        raise ValueError(
            f"data.batch_size={size}: a multiple of the number of processes, "
            f"{trainer.world_size} (trainer.devices times trainer.num_nodes), is needed, for each "
            "takes an equal share of every batch"
        )
