"""`python -m mzsane.evaluate` leaves tables and figures, and an interruption costs one block."""

import csv
import os
import subprocess
import sys

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
def told(run, tmp_path_factory):
    """Arguments and environment of the command; image sets are drawn once."""
    data = tmp_path_factory.mktemp("data")
    environment = {**os.environ, "MZSANE_DATA": str(data), "OMP_NUM_THREADS": "1"}

    def arguments(folder, *overrides):
        return [f"checkpoint={run}", f"hydra.run.dir={folder}", *overrides], environment

    return arguments


@pytest.fixture(scope="module")
def evaluate(told, warm):
    def command(folder, *overrides):
        arguments, environment = told(folder, *overrides)
        return warm.run("mzsane.evaluate", *arguments, env=environment)

    return command


@pytest.fixture(scope="module")
def patched(told):
    """Runs the real entry point after other code, in a process of its own."""

    def command(code, folder, *overrides):
        arguments, environment = told(folder, *overrides)
        program = [sys.executable, "-c", code]
        return subprocess.run(
            [*program, *arguments], env=environment, text=True, capture_output=True
        )

    return command


@pytest.fixture(scope="module")
def whole(evaluate, tmp_path_factory):
    """The folder of an evaluation that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    done = evaluate(folder, *SMALL)
    assert done.returncode == 0, done.stderr
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


# what comes after the third block is Ctrl-C
INTERRUPTED = """
import os, signal
from mzsane.evaluation import Ledger
add, kept = Ledger.add, []
def interrupted(self, key, rows):
    add(self, key, rows)
    kept.append(key)
    if len(kept) == 3:
        os.kill(os.getpid(), signal.SIGINT)
Ledger.add = interrupted
from mzsane.evaluate import main
main()
"""
# keeps a copy of the blocks before they are removed
REMEMBERING = """
import shutil
from mzsane import evaluation
remove = evaluation.remove_blocks
def remembering(folder):
    shutil.copy(folder / "blocks-0.jsonl", folder / "remembered.jsonl")
    remove(folder)
evaluation.remove_blocks = remembering
from mzsane.evaluate import main
main()
"""


def test_an_interrupted_evaluation_goes_on_with_what_it_has(whole, patched, tmp_path):
    folder = tmp_path / "interrupted"
    done = patched(INTERRUPTED, folder, *SMALL)
    assert done.returncode == 130, done.stderr
    assert "the same command goes on from here" in done.stderr
    kept = blocks(folder / "blocks-0.jsonl")
    assert len(kept) == 3
    assert not (folder / "results.csv").exists()
    done = patched(REMEMBERING, folder, *SMALL)
    assert done.returncode == 0, done.stderr
    made = blocks(folder / "remembered.jsonl")
    assert made[:3] == kept, "finished blocks are neither lost nor made again"
    assert len(set(made)) == len(made) > 3
    for name in ("results.csv", "statistics.csv", "comparisons.csv", "frontier.csv"):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def blocks(path):
    """Lines of whole blocks."""
    text = path.read_text()
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
def test_a_mistake_ends_in_one_sentence(evaluate, tmp_path, overrides, sentence):
    done = evaluate(tmp_path / "refused", "evaluation.num_samples=2", "device=cpu", *overrides)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("mzsane: ")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
