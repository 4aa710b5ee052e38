"""Write the token stores of a zoo, building the zoo where it is missing.

python -m mzsane.preprocess zoo=digits+printed
"""

from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from mzsane.config import build_all, check
from mzsane.entry import run

if TYPE_CHECKING:
    from mzsane.stores import TokenStore


def preprocess(cfg: DictConfig) -> None:
    """Make the store of every source and print where it is, what was taken, skipped and why."""
    check(cfg)
    for name, store in stores_of(cfg).items():
        print(f"{name}: {store.path}: {store.report}")


def stores_of(cfg: DictConfig) -> "dict[str, TokenStore]":
    """The stores of a zoo, those that are missing made first."""
    from mzsane.progress import bars
    from mzsane.stores import Crew, prepare

    crew = OmegaConf.select(cfg, "preprocess") or {}
    with bars() as progress:
        return prepare(
            build_all(cfg.zoo.sources),
            dict(cfg.tokens),
            build=cfg.zoo.build,
            download=cfg.zoo.download,
            align=cfg.zoo.align,
            crew=Crew(cfg.workers, **crew),
            progress=progress,
        )


def main() -> None:
    """Entry point of `python -m mzsane.preprocess`."""
    run(preprocess, "preprocess")


if __name__ == "__main__":
    main()
