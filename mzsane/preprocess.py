"""Write the token stores of a zoo, building the zoo where it is missing.

python -m mzsane.preprocess zoo=digits+printed
python -m mzsane.preprocess zoo=folder zoo.path=DIR
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from mzsane.checking import check
from mzsane.config import build, build_all
from mzsane.entry import run
from mzsane.runs import leads

if TYPE_CHECKING:
    from mzsane.stores import Source, TokenStore


def preprocess(cfg: DictConfig) -> None:
    """Make the store of every source and print where it is, what was taken, skipped and why."""
    check(cfg)
    stores_of(cfg, build_all(cfg.zoo.sources))


def stores_of(cfg: DictConfig, sources: "Mapping[str, Source]") -> "dict[str, TokenStore]":
    """The stores of a zoo, those that are missing made first; without what filters leave out.

    Prints where they are, what was taken, skipped and why, before anything is made of them.
    """
    from mzsane.progress import bars
    from mzsane.stores import prepare

    with bars() as progress:
        stores = prepare(
            sources,
            dict(cfg.tokens),
            build=cfg.zoo.build,
            download=cfg.zoo.download,
            align=cfg.zoo.align,
            crew=build(cfg.parallel),
            progress=progress,
        )
    filters = build_all(cfg.zoo.filters)
    stores = {name: store.filtered(filters) for name, store in stores.items()}
    if leads():
        for name, store in stores.items():
            print(f"{name}: {store.path}: {store.report}", flush=True)
    return stores


def main() -> None:
    """Entry point of `python -m mzsane.preprocess`."""
    run(preprocess, "preprocess")


if __name__ == "__main__":
    main()
