"""Fetch published zoos, going on where an earlier download stopped.

python -m mzsane.download zoo=cifar10_cnn_sample
python -m mzsane.download zoo=cifar10+100 zoo.mirror=http://localhost:8000
"""

from omegaconf import DictConfig

from mzsane.checking import check
from mzsane.config import build
from mzsane.entry import run


def download(cfg: DictConfig) -> None:
    """Bring what is missing of every published source, and print where it is and what it is.

    Raises:
        ValueError: if no source of the zoo is published.
    """
    check(cfg)
    sources = {str(name): source.get("download") for name, source in cfg.zoo.sources.items()}
    if not any(sources.values()):
        said = f"{', '.join(sources)} cannot be downloaded" if sources else "no zoo is given"
        raise ValueError(f"{said}; name a published zoo, for example zoo=cifar10_cnn_sample")
    from mzsane.progress import bars

    with bars() as progress:
        for name, node in sources.items():
            if node:
                zoo = build(node)
                zoo.fetch(progress)
                print(f"{name}: {zoo.folder} (licence {zoo.licence or 'unknown'}, {zoo.homepage})")
            else:
                print(f"{name}: nothing to download")


def main() -> None:
    """Entry point of `python -m mzsane.download`."""
    run(download, "download")


if __name__ == "__main__":
    main()
