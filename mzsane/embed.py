"""Embed every checkpoint of a zoo, and draw a map of it.

python -m mzsane.embed checkpoint=runs/train/TIME                # the zoo it was trained on
python -m mzsane.embed checkpoint=runs/train/TIME zoo=digits_hyp levels=[model,layer,token]
python -m mzsane.embed checkpoint=owner/name zoo=folder zoo.path=DIR format=parquet map=tsne
"""

from omegaconf import DictConfig

from mzsane.analysing import analysis_of
from mzsane.entry import run


def embed(cfg: DictConfig) -> None:
    """Write embeddings below the run's folder."""
    from mzsane.analysis import embed_parts
    from mzsane.progress import bars

    with analysis_of(cfg) as job, bars() as progress:
        embed_parts(
            job.encoder,
            job.parts,
            job.folder / "embeddings",
            job.provenance,
            progress,
            list(cfg.levels),
            cfg.format,
        )
    print(job.folder / "embeddings")


def main() -> None:
    """Entry point of `python -m mzsane.embed`."""
    run(embed, "embed")


if __name__ == "__main__":
    main()
