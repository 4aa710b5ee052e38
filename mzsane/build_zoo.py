"""Train a population of models of one architecture on one image set.

python -m mzsane.build_zoo images=printed architecture=cnn zoo_builder.num_models=200
python -m mzsane.build_zoo zoo_builder.num_models=10 zoo_builder.vary.lr=[1e-2,1e-3]
"""

from omegaconf import DictConfig

from mzsane.checking import check
from mzsane.config import build
from mzsane.entry import run


def build_zoo(cfg: DictConfig) -> None:
    """Train the models that are missing in `zoo_builder.folder`, and print where they are."""
    check(cfg)
    from mzsane.progress import bars

    builder = build(cfg.zoo_builder, images=build(cfg.images), architecture=build(cfg.architecture))
    with bars() as progress:
        builder.build(progress)
    print(f"{builder.folder}: {len(builder.trials)} models")


def main() -> None:
    """Entry point of `python -m mzsane.build_zoo`."""
    run(build_zoo, "build_zoo")


if __name__ == "__main__":
    main()
