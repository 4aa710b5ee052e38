"""`python -m mzsane.evaluate` leaves tables and figures, and an interruption costs one block."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

from mzsane.evaluation import TABLES

SMALL = (
    "evaluation.num_anchors=2", "evaluation.num_samples=2", "workers=1", "device=cpu",
    "evaluation.methods=[anchors,random,greedy_soup,reconstructed,kde_token,subsample]",
    "sampler=[kde_token,subsample]", "sampler.subsample.candidates=3",
    "sampler.subsample.survivors=2", "images=digits", "protocol.ensembles.sizes=[2]",
    "protocol=[zero_shot,finetuned,refined,ensembles,transfer]",
    "protocol.finetuned.steps=[0,2]", "protocol.transfer.steps=[0,1]",
    "protocol.refined.recipe.epochs=1", "protocol.refined.recipe.batch_size=600",
)  # fmt: skip
LEFT = (
    "results.csv", "statistics.csv", "comparisons.csv", "frontier.csv", "accuracy_novelty.png",
    "accuracy_novelty_finetuned.png", "curves_finetuned.png", "curves_refined.png",
    "curves_refined_twin.png", "columns.md", "summary.md",
)  # fmt: skip


@pytest.fixture(scope="module")
def start(run, tmp_path_factory):
    """Starts the command; image sets are drawn once."""
    data = tmp_path_factory.mktemp("data")

    def command(folder, *overrides, checkpoint=run, **options):
        arguments = [sys.executable, "-m", "mzsane.evaluate", f"checkpoint={checkpoint}"]
        environment = {**os.environ, "MZSANE_DATA": str(data), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [*arguments, f"hydra.run.dir={folder}", *overrides],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )  # fmt: skip

    return command


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """The folder of an evaluation that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    process = start(folder, *SMALL)
    _, said = process.communicate(timeout=280)
    assert process.returncode == 0, said
    return folder


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_an_evaluation_leaves_tables_and_figures_and_no_blocks(whole):
    for name in LEFT:
        assert (whole / name).stat().st_size > 0, name
    assert not list(whole.glob("blocks-*"))
    rows = table(whole / "results.csv")
    assert {row["images"] for row in rows} == {"digits"}
    assert {(row["protocol"], row["method"]) for row in rows} >= {
        ("zero_shot", "greedy_soup"), ("finetuned", "random"), ("refined", "subsample"),
        ("ensembles", "kde_token"), ("transfer", "anchors"),
    }  # fmt: skip
    assert {row["n"] for row in table(whole / "statistics.csv") if row["method"] == "random"} == {
        "2", "1"
    }  # fmt: skip
    with_whom = {(row["method"], row["with"]) for row in table(whole / "comparisons.csv")}
    assert with_whom >= {
        ("reconstructed", "anchors"), ("random", "itself before"), ("kde_token", "random"),
        ("kde_token", "refined_twin"),
    }  # fmt: skip
    for name, columns in TABLES.items():
        assert list(table(whole / f"{name}.csv")[0]) == list(columns), name
    text = (whole / "summary.md").read_text()
    for heading in (
        "finetuned",
        "ensembles of 2",
        "frontier of accuracy",
        "paired comparisons",
        "beside the baseline of nearest novelty",
    ):
        assert heading in text


def test_an_interrupted_evaluation_goes_on_with_what_it_has(whole, start, tmp_path):
    folder = tmp_path / "interrupted"
    process = start(folder, *SMALL)
    deadline = time.monotonic() + 200
    while len(lines := blocks(folder)) < 3:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on from here" in said
    kept = blocks(folder)
    assert kept[: len(lines)] == lines
    assert not (folder / "results.csv").exists()
    process = start(folder, *SMALL)
    while process.poll() is None and (now := blocks(folder)):
        assert now[: len(kept)] == kept, "finished blocks are neither lost nor made again"
        time.sleep(0.05)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    for name in ("results.csv", "statistics.csv", "comparisons.csv", "frontier.csv"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def blocks(folder):
    """Lines of whole blocks."""
    path = folder / "blocks-0.jsonl"
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["image_sets=[shapes]", "protocol=zero_shot"], "no image set has images [1, 28, 28]"),
        (["protocol=ensembles", "protocol.ensembles.sizes=[9]"], "only 2 models of each method"),
        (["evaluation.methods=[best]", "protocol=zero_shot"], "there is no 'best'; choose among"),
        (["evaluation.num_anchors=0", "protocol=zero_shot"], "no anchors left after filtering"),
        (["protocol=fientuned"], "did you mean 'finetuned'?"),
    ],
)  # fmt: skip
def test_a_mistake_ends_in_one_sentence(start, tmp_path, overrides, sentence):
    process = start(tmp_path / "refused", "evaluation.num_samples=2", "device=cpu", *overrides)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert said.strip().splitlines()[-1].startswith("mzsane: ")
    assert sentence in said
    assert "Traceback" not in said
