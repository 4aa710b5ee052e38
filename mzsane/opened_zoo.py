"""The zoo that a command asks for, or else the one that its autoencoder was trained on."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from mzsane.config import build_all
from mzsane.opening import Opened
from mzsane.preprocess import stores_of
from mzsane.schemas import Zoo

if TYPE_CHECKING:
    from mzsane.stores import Source, TokenStore

_UNSET = asdict(Zoo())


class OpenedZoo(NamedTuple):
    """The zoo that a command works on.

    Attributes:
        cfg: a configuration whose sections `zoo`, `tokens` and `parallel` are those in force.
        sources: by name.
        stores: of these sources, without what filters leave out.
    """

    cfg: DictConfig
    sources: "Mapping[str, Source]"
    stores: "dict[str, TokenStore]"


def zoo_of(opened: Opened, cfg: DictConfig) -> OpenedZoo:
    """The zoo of a command, whose stores are made where they are missing.

    Args:
        opened: the autoencoder.
        cfg: of the command, with the sections of `mzsane.schemas.UseModel`.

    Raises:
        ValueError: no zoo is named and none is known, or stores cannot be made.
        FileNotFoundError: models or stores are missing and not to be made.
    """
    used = sections_of(opened, cfg)
    sources = build_all(used.zoo.sources)
    return OpenedZoo(used, sources, stores_of(used, sources))


def sections_of(opened: Opened, cfg: DictConfig) -> DictConfig:
    """A configuration with the zoo that a command names, or else that of the autoencoder's run.

    Of the latter, what the command says about it (`zoo.epochs`, `zoo.filters`, ...) counts. Tokens
    of another zoo have the size that the autoencoder takes.

    Raises:
        ValueError: no zoo is named and none is known.
    """
    if cfg.zoo.sources:
        used = _open_copy(cfg)
        used.tokens = tokens_of(opened, cfg)
        return used
    if opened.cfg is None:
        raise ValueError(
            f"{opened.name}: it is not known on which zoo this was trained; name one, for example "
            "zoo=digits, or zoo=folder zoo.path=DIR"
        )
    used = _open_copy(opened.cfg)
    if cfg.tokens:
        used.tokens = tokens_of(opened, cfg)
    for name, unset in _UNSET.items():
        if name != "sources" and cfg.zoo[name] != unset:
            used.zoo[name] = cfg.zoo[name]
    used.workers, used.parallel = cfg.workers, cfg.parallel
    return used


def tokens_of(opened: Opened, cfg: DictConfig) -> dict[str, Any]:
    """Settings of `Layout.of` for models from elsewhere: as told, else as trained, of one size."""
    told = cfg.tokens or (opened.cfg.tokens if opened.cfg is not None else {})
    size = opened.model.embed.in_features
    return {"scheme": "channel", "batchnorm": "rows", **told, "size": size}


def _open_copy(cfg: DictConfig) -> DictConfig:
    """A copy that any section can be put into."""
    copy = cfg.copy()
    OmegaConf.set_struct(copy, False)
    return copy
