"""Write the token stores of a zoo, building the zoo where it is missing.

    python -m mzsane.preprocess zoo=digits+printed
"""

from omegaconf import DictConfig

from mzsane.config import build, check
from mzsane.entry import run


def preprocess(cfg: DictConfig) -> None:
    """Make the store of every source and print where it is and what it holds."""
    check(cfg)
    for name, store in build(cfg.zoo).prepare(cfg.tokens, workers=cfg.workers).items():
        print(f"{name}: {store.path}: {store.summary()}")


def main() -> None:
    """Entry point of `python -m mzsane.preprocess`."""
    run(preprocess, "preprocess")


if __name__ == "__main__":
    main()
