"""Embed every checkpoint of a zoo, draw a map of it, and see which layers are reconstructed.

python -m mzsane.embed checkpoint=runs/train/TIME                # the zoo it was trained on
python -m mzsane.embed checkpoint=runs/train/TIME zoo=digits_hyp levels=[model,layer,token]
python -m mzsane.embed checkpoint=owner/name zoo=folder zoo.path=DIR format=parquet map=tsne
"""

from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mzsane.analysing import Job, analysis_of, names_in
from mzsane.entry import run

if TYPE_CHECKING:
    from mzsane.progress import Progress
    from mzsane.reports import Sheet

HELD_OUT = "test"


def embed(cfg: DictConfig) -> None:
    """Write embeddings, maps, `layers.csv` and `summary.md` into the run's folder."""
    from rich.console import Console

    from mzsane.analysis import columns_of, embed_parts, joined, varying
    from mzsane.progress import bars
    from mzsane.report import origin
    from mzsane.reports import terminal_page, write_page
    from mzsane.runs import DONE

    levels, colours = names_in(cfg, "levels") or [], names_in(cfg, "colours")
    _check(cfg.map, levels)
    with analysis_of(cfg) as job, bars() as progress:
        varying(joined(list(map(columns_of, job.parts))), colours)  # a misspelt one is told at once
        place = job.folder / "embeddings"
        embed_parts(job.encoder, job.parts, place, job.provenance, progress, levels, cfg.format)
        figures = [] if cfg.map is None else _map(cfg, job, colours)
        layers = _layers(job, progress) if cfg.per_layer else []
        if layers:
            figures.append("layers.png")
        sheets = [_contents(job, levels), *_fidelity(layers, cfg.per_layer)]
        facts = {**origin(), **job.provenance}
        write_page(job.folder / DONE, "Embeddings", sheets, facts, figures)
    Console().print(terminal_page(sheets))
    print(job.folder)


def _check(map: str | None, levels: list[str]) -> None:
    """Refuse maps that cannot be drawn, before anything is embedded."""
    from mzsane.analysis.projection import check_method

    if map is None:
        return
    check_method(map)
    if "model" not in levels:
        raise ValueError(f"levels={levels}: a map is drawn of level model; add it, or set map=null")


def _map(cfg: DictConfig, job: Job, colours: list[str] | None) -> list[str]:
    """Draw the map as a picture and as a page; names of the files."""
    from mzsane.analysis import project, read_models, varying
    from mzsane.reports import latent_map, latent_page

    columns, embedding = read_models(job.parts, job.folder / "embeddings", cfg.format)
    colours = varying(columns, colours)
    points, axes = project(embedding, cfg.map, cfg.seed)
    shown = {name: columns[name] for name in colours}
    latent_map(points, shown, job.folder / "map.png", axes)
    latent_page(points, columns, job.folder / "map.html", axes, next(iter(colours)))
    return ["map.png", "map.html"]


def _layers(job: Job, progress: "Progress") -> list[dict[str, Any]]:
    """R² and error of every layer, as a table and a figure; nothing without held-out models."""
    from mzsane.analysis import layer_fidelity
    from mzsane.evaluation import write_rows
    from mzsane.reports import layer_bars

    rows = layer_fidelity(job.encoder, job.parts, HELD_OUT, progress)
    if rows:
        write_rows(job.folder / "layers.csv", rows)
        layer_bars(rows, job.folder / "layers.png")
    return rows


def _contents(job: Job, levels: list[str]) -> "Sheet":
    from mzsane.reports import Sheet

    lines = tuple(
        (part.name, f"{len(part.rows)}", f"{part.shelf.layout.num_tokens}",
         f"{part.shelf.layout.num_layers}")
        for part in job.parts
    )  # fmt: skip
    header = ("source and shelf", "checkpoints", "tokens", "layers")
    where = f"{', '.join(levels)} below {job.folder / 'embeddings'}"
    return Sheet("what is embedded", header, lines, (where,))


def _fidelity(rows: list[dict[str, Any]], wanted: bool) -> "list[Sheet]":
    from mzsane.reports import Sheet

    title = f"reconstruction of {HELD_OUT} models, layer by layer"
    if not rows:
        return [Sheet(title, (), (), (f"the zoo has no {HELD_OUT} models",))] if wanted else []
    header = ("layer", "weights", "R²", "RMSE", "spread of weights")
    lines = tuple(
        (
            f"{row['architecture']}: {row['layer_name']}",
            f"{row['entries']}",
            *(f"{row[name]:.4f}" for name in ("r2", "rmse", "std")),
        )
        for row in rows
    )
    return [Sheet(title, header, lines)]


def main() -> None:
    """Entry point of `python -m mzsane.embed`."""
    run(embed, "embed")


if __name__ == "__main__":
    main()
