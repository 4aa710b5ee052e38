"""The real command, in a process of its own."""

import csv
import os
import shutil
import subprocess
import sys

import pytest
import torch

from mzsane.stores import TokenStore

FAST = ("mzsane.train", "debug=fast")


def environment(data):
    return {**os.environ, "MZSANE_DATA": str(data), "OMP_NUM_THREADS": "1", "COLUMNS": "120"}


@pytest.fixture(scope="module")
def cold(data):
    """Runs Python in a folder, as a user does."""

    def command(folder, *arguments):
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder, env=environment(data), capture_output=True, text=True,
        )  # fmt: skip

    return command


@pytest.fixture(scope="module")
def train(data, warm):
    """Runs `python -m mzsane.train debug=fast` in a folder."""

    def command(folder, *overrides):
        return warm.run(*FAST, *overrides, cwd=folder, env=environment(data))

    return command


@pytest.fixture(scope="module")
def first(cold, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    done = cold(folder, "-m", *FAST)
    assert done.returncode == 0, done.stderr
    return folder, done


def only_run(folder):
    (run,) = (folder / "runs" / "fast").iterdir()
    return run


def weights(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def assert_same(a, b):
    assert a.keys() == b.keys()
    assert all(torch.equal(value, b[name]) for name, value in a.items())


def test_a_run_leaves_what_the_readme_promises(first, data):
    folder, done = first
    run = only_run(folder)
    for name in (
        ".hydra/config.yaml", "config.yaml", "checkpoints/last.ckpt", "checkpoints/best.ckpt",
        "metrics.csv", "results.csv", "summary.md", "loss.png", "accuracy_novelty.png",
    ):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    assert "kde_token" in done.stdout
    with (run / "metrics.csv").open() as file:
        columns = set(csv.DictReader(file).fieldnames)
    assert {
        "train/loss", "train/reconstruction", "train/contrastive", "train/gradient_norm",
        "val/loss", "val/r2/digits", "throughput/tokens_per_s", "lr-AdamW/pg1",
    } <= columns  # fmt: skip
    assert len(TokenStore.open(data / "fast" / "stores" / "digits.h5")) == 24  # 12 models


def test_results_are_tidy(first):
    with (only_run(first[0]) / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["images"] for row in rows} == {"digits", "mnist5k"}
    assert {row["method"] for row in rows} >= {
        "kde_token", "kde_joint", "random", "anchors", "average", "weight_kde",
        "reconstructed", "heldout_reconstructed",
    }  # fmt: skip
    keys = [tuple(row[k] for k in ("source", "method", "images", "model")) for row in rows]
    assert len(set(keys)) == len(keys)
    assert all(0 <= float(row["accuracy"]) <= 1 and row["novelty"] for row in rows)


def test_the_same_command_repeats_bit_for_bit_in_a_folder_of_its_own(first, train, tmp_path):
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "training digits" not in done.stderr  # zoo and store were there
    assert_same(weights(only_run(tmp_path)), weights(only_run(first[0])))
    results = [(only_run(f) / "results.csv").read_text() for f in (first[0], tmp_path)]
    assert results[0] == results[1]


# the real entry point, and Ctrl-C in the middle of the second epoch, between two checkpoints
INTERRUPTED = """
import os, signal
from mzsane.systems import Pretraining
step = Pretraining.training_step
def interrupted(self, *batch):
    if self.global_step == 10:
        os.kill(os.getpid(), signal.SIGINT)
    return step(self, *batch)
Pretraining.training_step = interrupted
from mzsane.train import main
main()
"""


def test_an_interrupted_run_goes_on_with_the_same_command(first, cold, train, tmp_path):
    done = cold(tmp_path, "-c", INTERRUPTED, *FAST[1:])
    assert done.returncode == 130
    assert "the same command goes on from here" in done.stderr
    run = only_run(tmp_path)
    assert not (run / "summary.md").exists()
    interrupted = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert interrupted["global_step"] == 11  # the step in which the signal came was finished
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"continuing {run.relative_to(tmp_path)}" in done.stdout
    whole = only_run(first[0])
    assert_same(weights(only_run(tmp_path)), weights(whole))
    assert steps(only_run(tmp_path)) == steps(whole)
    assert (run / "results.csv").read_text() == (whole / "results.csv").read_text()


def test_a_run_interrupted_in_its_evaluation_goes_on_with_it(first, train, tmp_path):
    run = tmp_path / "runs" / "fast" / "evaluating"
    shutil.copytree(only_run(first[0]), run)
    results = (run / "results.csv").read_text()
    for name in ("results.csv", "summary.md"):  # all that evaluation and report leave last
        (run / name).unlink()
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "continuing runs/fast/evaluating" in done.stdout
    assert only_run(tmp_path) == run
    assert (run / "results.csv").read_text() == results
    assert_same(weights(run), weights(only_run(first[0])))


def steps(run):
    with (run / "metrics.csv").open() as file:
        return [row["step"] for row in csv.DictReader(file) if row["train/loss"]]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["model.d_modle=3"], "model.d_modle: there is no such key; did you mean 'd_model'?"),
        (["model=sane_tny"], "model=sane_tny: there is no such option; did you mean 'sane_tiny'?"),
        (["zoo=digit"], "zoo=digit: there is no such option; did you mean 'digits'?"),
        (["protocol=[zeroshot]"], "protocol=[zeroshot]: there is no such option; did you mean"),
        (["+modle=3"], "modle: there is no such section; did you mean 'model'?"),
        (["data.window=0"], "window"),
        (["system.erase=2"], "erasing is a share"),
        (["model.d_model=wide"], "model.d_model: 'wide' is not int"),
        (
            ["zoo.build=false", "store_dir=nowhere"],
            "nowhere/digits.h5: the store of source 'digits' is missing and zoo.build=false; "
            "run `python -m mzsane.preprocess zoo=digits`, or set zoo.build=true",
        ),
        (
            ["model.positions=learned", "model.max_positions=[40,9,30]"],
            "max_positions: token index 47 is beyond the table of 40; enlarge it or use "
            "positions=sinusoidal",
        ),
        (["tokens.size=64"], "tokens.size=201"),
        (["zoo.mix={digit:1}", "zoo_dir=none"], "mix: no source is called 'digit'"),
        (["data.batch_size=1", "trainer=ddp_cpu"], "data.batch_size=1: a multiple of the number"),
        (["zoo.num_models=500"], "500"),
        (["zoo.sources.digits.builder.recipe.lr=1.0"], "another zoo_dir"),
    ],
)
def test_a_mistake_ends_in_one_sentence(first, train, tmp_path, overrides, sentence):
    done = train(tmp_path, *overrides)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith("mzsane: ")
    assert sentence in lines[-1]
    assert "Traceback" not in done.stderr


def test_training_in_bfloat16_goes_on_from_an_earlier_run(first, train, tmp_path):
    settings = ["trainer.precision=bf16-mixed", "sampler=[]", "callbacks=[checkpoints,finite]"]
    frozen = ["optimizer.lr=0", "trainer.max_epochs=1"]  # so that what it starts from is seen
    done = train(tmp_path, f"pretrained={only_run(first[0])}", *settings, *frozen)
    assert done.returncode == 0, done.stderr
    best = torch.load(only_run(first[0]) / "checkpoints" / "best.ckpt", weights_only=True)
    assert_same(weights(only_run(tmp_path)), best["state_dict"])
    assert "val/r2/digits  " in done.stdout


def test_an_earlier_model_of_another_size_is_refused(first, train, tmp_path):
    done = train(tmp_path, f"pretrained={only_run(first[0])}", "model.d_model=24")
    assert done.returncode == 1
    assert "its d_model is 16, this run's 24; set model.d_model" in done.stderr.splitlines()[-1]


def test_a_folder_of_another_configuration_is_refused_untouched(first, train, tmp_path):
    run = only_run(first[0])
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    done = train(tmp_path, f"hydra.run.dir={run}", "seed=5")
    assert done.returncode == 1
    assert "holds a run of another configuration" in done.stderr
    assert "seed: 0 there, 5 here" in done.stderr
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_damaged_store_is_named(first, cold, data, tmp_path):
    stores = tmp_path / "stores"
    stores.mkdir()
    whole = (data / "fast" / "stores" / "digits.h5").read_bytes()
    (stores / "digits.h5").write_bytes(whole[: len(whole) // 2])
    done = cold(tmp_path, "-m", *FAST, f"store_dir={stores}")
    assert done.returncode == 1
    assert f"mzsane: {stores / 'digits.h5'}" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("option", ["--help", "--cfg=job"])
def test_help_imports_no_torch(option):
    code = (
        f"import sys; sys.argv = ['train', *{option.split('=')}]\n"
        "from mzsane.train import main\n"
        "try: main()\nexcept SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'torch', 'pytorch_lightning', 'matplotlib', 'h5py'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "sane_tiny" in shown.stdout or "mzsane.models.Sane" in shown.stdout


def test_all_loggers_work_together_offline(first, train, tmp_path):
    done = train(tmp_path, "logger=[csv,tensorboard,wandb]", "trainer.max_epochs=1", "sampler=[]")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    assert list(run.glob("logs/tensorboard/**/events.*"))
    assert list(run.glob("logs/wandb/offline-run-*"))


@pytest.mark.parametrize(
    ("budget", "steps"),
    [(["trainer.max_steps=20"], 20), (["trainer.max_steps=20", "trainer.max_epochs=1"], 8)],
)
def test_a_budget_of_steps_decides_when_training_and_its_schedule_end(
    first, train, tmp_path, budget, steps
):
    done = train(tmp_path, *budget, "callbacks=[checkpoints,finite]", "sampler=[]")
    assert done.returncode == 0, done.stderr
    last = torch.load(only_run(tmp_path) / "checkpoints" / "last.ckpt", weights_only=True)
    (schedule,) = last["lr_schedulers"]
    assert last["global_step"] == schedule["total_steps"] == steps


def test_what_was_logged_is_reported_without_an_evaluation_and_whatever_the_logger(
    first, train, tmp_path
):
    done = train(tmp_path, "logger=tensorboard", "callbacks=[checkpoints,finite]", "sampler=[]")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    assert list(run.glob("logs/tensorboard/**/events.*"))
    assert all((run / name).stat().st_size for name in ("metrics.csv", "loss.png"))
    summary = (run / "summary.md").read_text()
    assert "val/r2/digits" in summary
    assert "How to read this" not in summary
    assert not (run / "results.csv").exists()


def test_evaluating_in_between_changes_nothing(first, train, tmp_path):
    done = train(tmp_path, "callbacks.evaluation.every_n_epochs=1")
    assert done.returncode == 0, done.stderr
    run, whole = only_run(tmp_path), only_run(first[0])
    assert_same(weights(run), weights(whole))
    with (run / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (whole / "results.csv").open() as file:
        last = list(csv.DictReader(file))
    assert {row["step"] for row in rows} == {"8", "16"}
    assert [row for row in rows if row["step"] == "16"] == last


@pytest.mark.parametrize("trainer", ["ddp_cpu", "fsdp_cpu"])
def test_two_processes_train_one_run(first, cold, tmp_path, trainer):
    done = cold(tmp_path, "-m", *FAST, f"trainer={trainer}", "trainer.max_epochs=2")
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    assert (run / "summary.md").exists()
    assert len(list((run / "logs" / "csv").iterdir())) == 1
    one = torch.load(only_run(first[0]) / "checkpoints" / "last.ckpt", weights_only=True)
    two = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert one["global_step"] == two["global_step"]
    for name, value in one[
        "state_dict"
    ].items():  # the same global batches, summed in another order
        torch.testing.assert_close(two["state_dict"][name], value, atol=1e-5, rtol=0)


def test_a_zoo_is_built_by_itself_and_goes_on_growing(warm, data, tmp_path):
    def build(models):
        arguments = [
            "images=digits", "zoo_builder.recipe.epochs=1", "zoo_builder.checkpoint_epochs=[1]",
            f"zoo_builder.num_models={models}", "workers=1",
        ]  # fmt: skip
        done = warm.run("mzsane.build_zoo", *arguments, cwd=tmp_path, env=environment(data))
        assert done.returncode == 0, done.stderr
        return done.stdout, sorted((data / "zoos" / "digits-cnn").glob("trial_*/params.json"))

    said, trials = build(1)
    assert f"{data}/zoos/digits-cnn: 1 models" in said
    assert len(trials) == 1
    assert len(build(2)[1]) == 2
