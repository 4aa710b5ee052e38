"""Find the nearest models of a zoo, copies in it, and which checkpoints are of one training.

python -m mzsane.search checkpoint=runs/train/TIME query=trial_00003@4 k=10
python -m mzsane.search checkpoint=runs/train/TIME zoo=digits_hyp query=path/to/model.pt
python -m mzsane.search checkpoint=runs/train/TIME copies=true lineage=true       # without a query
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from omegaconf import DictConfig

from mzsane.analysing import Job, analysis_of
from mzsane.entry import run

if TYPE_CHECKING:
    from mzsane.analysis import Columns, Kin, Query
    from mzsane.progress import Progress

KNOWN = ("source", "architecture", "model", "epoch", "split")
Rows = list[dict[str, Any]]


def search(cfg: DictConfig) -> None:
    """Write `neighbours.csv`, `copies.csv`, `lineage.csv` and `summary.md`; print the tables."""
    from rich.console import Console

    from mzsane.analysis import columns_of, embed_parts, joined, kin_of, place_of, read_models
    from mzsane.progress import bars
    from mzsane.report import origin
    from mzsane.reports import search_sheets, terminal_page, write_page
    from mzsane.runs import DONE

    _check(cfg)
    with analysis_of(cfg) as job, bars() as progress:
        if cfg.query is not None and not _file(cfg).is_file():  # a misspelt name is told at once
            place_of(str(cfg.query), joined(list(map(columns_of, job.parts))))
        embeddings = job.folder / "embeddings"
        embed_parts(job.encoder, job.parts, embeddings, job.provenance, progress)
        columns, embedding = read_models(job.parts, embeddings)
        kins = kin_of(job.parts)
        neighbours: Rows = []
        if cfg.query is not None:
            query = _query(cfg, job, columns, embedding, kins)
            neighbours = _neighbours(cfg, query, columns, embedding)
        copies, lineage, quality = _pairs(cfg, columns, kins, progress)
        for name, rows in (("neighbours", neighbours), ("copies", copies), ("lineage", lineage)):
            _write(job.folder / f"{name}.csv", rows)
        sheets = search_sheets(neighbours, copies if cfg.copies else None, quality)
        write_page(job.folder / DONE, "Search", sheets, {**origin(), **job.provenance})
    Console().print(terminal_page(sheets))
    print(job.folder)


def _check(cfg: DictConfig) -> None:
    """Refuse what no search can do, before anything is embedded.

    Raises:
        ValueError: numbers outside of their range, or nothing to search for.
    """
    from mzsane.analysis.neighbours import METRICS

    if cfg.metric not in METRICS:
        raise ValueError(f"metric={cfg.metric}: choose from {', '.join(METRICS)}")
    if cfg.k < 1 or cfg.tried < 0 or cfg.tried_each < 0:
        given = f"k={cfg.k}, tried={cfg.tried}, tried_each={cfg.tried_each}"
        raise ValueError(f"{given}: give k of at least 1, and the others of 0 or more")
    if not 0 < cfg.near < 1 or not 0 < cfg.related < 1:
        raise ValueError(f"near={cfg.near}, related={cfg.related}: give shares between 0 and 1")
    if cfg.query is None and not cfg.copies and not cfg.lineage:
        raise ValueError("nothing to search for; give query=MODEL@EPOCH, or copies=true")


def _query(
    cfg: DictConfig, job: Job, columns: "Columns", embedding: np.ndarray, kins: "Sequence[Kin]"
) -> "Query":
    """The checkpoint in a file, or that of the zoo with this name."""
    from mzsane.analysis import loose_query, stored_query
    from mzsane.stores.kinds import kind_of
    from mzsane.zoos import ModelRecord, held, load_weights

    path = _file(cfg)
    if not path.is_file():
        return stored_query(str(cfg.query), columns, embedding, kins)
    try:
        state = load_weights(path, cfg.zoo.trust_pickle)
    except (ValueError, OSError) as error:
        raise ValueError(f"query={path}: {error}; give a file of weights") from error
    layout = job.parts[0].shelf.layout
    tokens = {"size": layout.size, "scheme": layout.scheme, "batchnorm": layout.batchnorm}
    kind, state = kind_of(ModelRecord(path.stem, 0, held(state)), state, tokens)
    return loose_query(str(path), state, kind.layout, job.encoder, kins)


def _file(cfg: DictConfig) -> Path:
    """Where the query lies, if it is a file."""
    return Path(str(cfg.query)).expanduser()


def _neighbours(cfg: DictConfig, query: "Query", columns: "Columns", embedding: np.ndarray) -> Rows:
    """A row for each neighbour, by embedding and by weights."""
    from mzsane.analysis import by_embedding, by_weights

    found = {
        f"embedding, {cfg.metric}": by_embedding(
            query.embedding, embedding, cfg.k, cfg.metric, query.place
        )
    }
    if query.kin is not None:
        found["weights"] = by_weights(query.vector, query.kin, cfg.k, cfg.tried, query.place)
    return [
        {
            "query": query.name,
            "by": by,
            "rank": rank,
            "distance": one.distance,
            "before_matching": one.stored,
            **_told(one.place, columns),
        }
        for by, neighbours in found.items()
        for rank, one in enumerate(neighbours, start=1)
    ]


def _pairs(
    cfg: DictConfig, columns: "Columns", kins: "Sequence[Kin]", progress: "Progress"
) -> tuple[Rows, Rows, Rows]:
    """Copies, the guessed lineage of every checkpoint, and how good the guess is."""
    from mzsane.analysis import (
        all_distances,
        copies,
        guess_lineage,
        matched_distances,
        norms,
        quality,
    )

    pairs: Rows = []
    lineage: Rows = []
    judged: Rows = []
    for kin in kins if cfg.copies or cfg.lineage else ():
        stored = all_distances(kin)
        own = {name: column[kin.places] for name, column in columns.items()}
        models = np.char.add(np.char.add(own["source"], "/"), own["model"])
        distances = matched_distances(kin, stored, models, cfg.tried_each, progress)
        if cfg.copies:
            for copy in copies(kin, stored, distances, models, cfg.near):
                told = {f"other_{k}": v for k, v in _told(copy.other, columns).items()}
                found = {"kind": copy.kind, "distance": copy.distance}
                pairs.append({**found, **_told(copy.place, columns), **told})
        if cfg.lineage:
            guess = guess_lineage(distances, norms(kin), cfg.related)
            lineage += _guessed(guess, kin, columns)
            sizes = {"checkpoints": len(models), "models": len(set(models))}
            measured = quality(guess, models, own["epoch"])._asdict()
            trajectories = int(guess.trajectory.max()) + 1
            name = str(own["architecture"][0])
            judged.append({"architecture": name, **sizes, "trajectories": trajectories, **measured})
    return pairs, lineage, judged


def _guessed(guess: Any, kin: "Kin", columns: "Columns") -> Rows:
    """A row for each checkpoint."""
    rows = []
    for row, place in enumerate(kin.places.tolist()):
        parent = int(guess.parent[row])
        before = (
            _told(int(kin.places[parent]), columns) if parent >= 0 else dict.fromkeys(KNOWN, "")
        )
        rows.append(
            {
                **_told(place, columns),
                "trajectory": int(guess.trajectory[row]),
                "step": int(guess.step[row]),
                "monotone": bool(guess.monotone[row]),
                "parent_source": before["source"],
                "parent_model": before["model"],
                "parent_epoch": before["epoch"],
            }
        )
    return rows


def _told(place: int, columns: "Columns") -> dict[str, Any]:
    """What names a checkpoint, and its accuracy where it is known."""
    known = {name: columns[name][place].item() for name in KNOWN}
    accuracy = columns.get("test_acc")
    return known | ({} if accuracy is None else {"test_acc": float(accuracy[place])})


def _write(path: Path, rows: Rows) -> None:
    """A table, or none where nothing was searched for or found."""
    from mzsane.evaluation import write_rows

    if rows:
        write_rows(path, rows)


def main() -> None:
    """Entry point of `python -m mzsane.search`."""
    run(search, "search")


if __name__ == "__main__":
    main()
