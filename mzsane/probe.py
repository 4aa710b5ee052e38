"""Predict properties of models from their embeddings, beside what is simpler than an autoencoder.

python -m mzsane.probe checkpoint=runs/train/TIME                        # the zoo it was trained on
python -m mzsane.probe checkpoint=runs/train/TIME zoo=digits_hyp targets=[test_acc,optim::lr]
python -m mzsane.probe checkpoint=RUN targets=test_acc regressors=[linear,boosting,network]
python -m mzsane.probe -m checkpoint=RUN1,RUN2,RUN3 zoo=digits_hyp       # a table each
"""

from omegaconf import DictConfig

from mzsane.analysing import analysis_of, names_in
from mzsane.entry import run


def probe(cfg: DictConfig) -> None:
    """Write `probes.csv`, `summary.md` and print the table."""
    from rich.console import Console

    from mzsane.analysis import (
        Inputs,
        Plan,
        columns_of,
        embed_parts,
        joined,
        read_models,
        wanted_of,
    )
    from mzsane.analysis import probe as probed
    from mzsane.evaluation import write_rows
    from mzsane.progress import bars
    from mzsane.report import origin
    from mzsane.reports import probe_sheets, terminal_page, write_page
    from mzsane.runs import DONE

    features, regressors = (names_in(cfg, key) or [] for key in ("features", "regressors"))
    plan = Plan(names_in(cfg, "targets"), features, regressors, cfg.resamples, cfg.seed)
    with analysis_of(cfg) as job, bars() as progress:
        wanted_of(plan, joined(list(map(columns_of, job.parts))))  # mistakes are told at once
        embeddings = job.folder / "embeddings"
        embed_parts(job.encoder, job.parts, embeddings, job.provenance, progress)
        rows = probed(Inputs(job.parts, *read_models(job.parts, embeddings)), plan, progress)
        rows = [{**row, "autoencoder": job.encoder.hash[:12]} for row in rows]
        write_rows(job.folder / "probes.csv", rows)
        sheets = probe_sheets(rows)
        write_page(job.folder / DONE, "Probes", sheets, {**origin(), **job.provenance})
    Console().print(terminal_page(sheets))
    print(job.folder)


def main() -> None:
    """Entry point of `python -m mzsane.probe`."""
    run(probe, "probe")


if __name__ == "__main__":
    main()
