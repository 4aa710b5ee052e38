"""What the commands that analyse a zoo share: a run folder, an autoencoder, chosen checkpoints."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mzsane.checking import check
from mzsane.opened_zoo import zoo_of
from mzsane.opening import open_model
from mzsane.runs import claim, record

if TYPE_CHECKING:
    import torch

    from mzsane.analysis import Encoder, Part


class Job(NamedTuple):
    """One analysis.

    Attributes:
        folder: of the run, held until the analysis ends.
        encoder: the autoencoder, on its device.
        parts: checkpoints of the zoo, by shelf.
        provenance: which autoencoder and which stores, by hash.
    """

    folder: Path
    encoder: "Encoder"
    parts: "list[Part]"
    provenance: dict[str, Any]


@contextmanager
def analysis_of(cfg: DictConfig) -> Iterator[Job]:
    """Open what a configuration of `embed`, `probe` or `search` names.

    Raises:
        ValueError: autoencoder or zoo are unknown, damaged, or of different token sizes, or
            another process writes the run's folder.
        FileNotFoundError: one of them is missing.
    """
    from mzsane.analysis import Encoder, chosen

    check(cfg)
    device = device_of(cfg.device)
    opened = open_model(cfg.checkpoint, cfg.heads)
    zoo = zoo_of(opened, cfg)
    parts = chosen(zoo.stores, zoo.cfg.zoo.num_models, zoo.cfg.zoo.epochs)
    encoder = Encoder.of(opened.model.to(device), opened.hash, cfg.window, cfg.halo)
    provenance = {
        "autoencoder": opened.name,
        "autoencoder_sha256": opened.hash,
        "stores": {name: store.content_hash for name, store in zoo.stores.items()},
    }
    folder = Path(HydraConfig.get().runtime.output_dir)
    with claim(folder):
        record(folder, cfg)
        yield Job(folder, encoder, parts, provenance)


def names_in(cfg: DictConfig, key: str) -> list[str] | None:
    """Names that a user gives as a list, or one by itself; each once, None if there are none.

    Raises:
        ValueError: anything else.
    """
    given = cfg[key]
    if given is None:
        return None
    names = list(given) if OmegaConf.is_list(given) else [given]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{key}={given}: give a name, or several as {key}=[one,other]")
    return list(dict.fromkeys(names))


def device_of(name: str) -> "torch.device":
    """The device that a user names; ``auto`` is a GPU where there is one.

    Raises:
        ValueError: torch knows no such device, or this machine has none.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        reason = str(error).partition("\n")[0]
        raise ValueError(f"device={name}: not on this machine ({reason}); take cpu") from error
