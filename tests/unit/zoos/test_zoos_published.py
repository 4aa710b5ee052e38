"""Trial folders as others wrote them, in every variant that has been published."""

import json
import pickle

import pytest
import safetensors.torch
import torch

from mzsane.zoos import ModelRecord, Skipped, read_trials

STATE = {"0.weight": torch.ones(3, 2), "0.bias": torch.zeros(3)}


def write_published(trial, params, lines, numbers, name="checkpoint_{:06d}/checkpoints"):
    """A trial as others write it: nothing of ours in it."""
    trial.mkdir(parents=True)
    (trial / "params.json").write_text(json.dumps(params))
    (trial / "result.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for number in numbers:
        file = trial / name.format(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        save = safetensors.torch.save_file if file.suffix == ".safetensors" else torch.save
        save(STATE, file)
    return trial


@pytest.fixture
def zoo(tmp_path):
    """Two trials of three checkpoints."""
    lines = [{"training_iteration": e, "train_acc": e / 10} for e in range(6)]
    for name in ("trial_1", "trial_2"):
        write_published(tmp_path / name, {"model::type": "CNN"}, lines, [0, 2, 5])
    return tmp_path


def test_companions_of_a_published_zoo_are_left_alone(zoo):
    for name in ("config.json", "index_dict.json", "experiment_state-1.json", "readme.md"):
        (zoo / name).write_text("{}")
    (zoo / "dataset.pt").write_bytes(b"a pickle of images")
    (zoo / ".ipynb_checkpoints").mkdir()
    for trial in (zoo / "trial_1", zoo / "trial_2"):
        (trial / "checkpoint_000002" / "optimizer").write_bytes(b"")
        (trial / "checkpoint_000002" / ".is_checkpoint").write_bytes(b"")
        (trial / "progress.csv").write_text("loss")
    members = list(read_trials(zoo))
    assert len(members) == 6
    assert all(isinstance(member, ModelRecord) for member in members)


def test_what_ray_notes_on_a_line_is_no_property(tmp_path):
    noted = {"training_iteration": 1, "date": "2021", "pid": 7, "config": {"lr": 1}, "time_s": 2}
    write_published(tmp_path / "a", {"optim::lr": 0.1}, [noted], [1])
    found = next(read_trials(tmp_path)).properties
    assert found == {"optim::lr": 0.1, "training_iteration": 1, "time_s": 2}


@pytest.mark.parametrize(
    "name",
    [
        "checkpoint_{}/checkpoints",
        "checkpoint_{:06d}/model.pt",
        "checkpoint_{:06d}/weights.safetensors",
        "checkpoint_{}.pth",
    ],
)
def test_weights_are_found_where_other_trainers_put_them(tmp_path, name):
    trial = write_published(tmp_path / "a", {}, [], [0, 10], name)
    for folder in trial.glob("checkpoint_*/"):
        (folder / "optimizer.pt").write_bytes(b"")
    records = list(read_trials(tmp_path))
    assert [record.epoch for record in records] == [0, 10]
    assert all(record.load().keys() == STATE.keys() for record in records)


@pytest.mark.parametrize("names", [[], ["a.pt", "b.pt"], ["optimizer"], ["notes.txt"]])
def test_a_checkpoint_without_weights_is_named(zoo, names):
    folder = zoo / "trial_1" / "checkpoint_000002"
    (folder / "checkpoints").unlink()
    for name in names:
        (folder / name).touch()
    reason = "it holds no file called checkpoints"
    members = list(read_trials(zoo))
    assert members[1] == Skipped(str(folder), reason)
    assert len(members) == 6


def test_of_two_folders_with_one_number_the_unpadded_counts(tmp_path):
    trial = write_published(tmp_path / "a", {}, [], [5])
    torch.save({"other": torch.ones(1)}, trial / "checkpoint_000005" / "checkpoints")
    write_published(tmp_path / "b", {}, [], [5], "checkpoint_{}/checkpoints")
    (tmp_path / "b" / "checkpoint_5").rename(trial / "checkpoint_5")
    (record, _) = read_trials(tmp_path)
    assert record.load().keys() == STATE.keys()


def test_nested_zoos_are_read_with_their_path_as_name(tmp_path):
    """As the zoo of transformers is laid out, one folder deeper than it should be."""
    for path in ("pretraining/sl_1", "finetuning/sl_1/a", "finetuning/sl_1/b", "finetuning/cl_2/a"):
        trial = write_published(tmp_path / "vit" / path, {}, [], [0, 1])
        (trial / "params.json").rename(trial / "config.json")
    records = list(read_trials(tmp_path / "vit"))
    names = ["finetuning/cl_2/a", "finetuning/sl_1/a", "finetuning/sl_1/b", "pretraining/sl_1"]
    assert [(r.model, r.epoch) for r in records] == [(n, e) for n in names for e in (0, 1)]
    assert records[0].provenance["zoo"] == str(tmp_path / "vit" / "finetuning" / "cl_2")
    assert next(read_trials(tmp_path)).model == "vit/finetuning/cl_2/a"


def test_a_single_trial_is_a_zoo_of_one(zoo, monkeypatch):
    monkeypatch.chdir(zoo / "trial_1")
    assert [record.model for record in read_trials(".")] == ["trial_1"] * 3


def test_links_are_followed_but_not_in_circles(zoo, tmp_path_factory):
    root = tmp_path_factory.mktemp("links")
    (root / "elsewhere").symlink_to(zoo, target_is_directory=True)
    (root / "circle").symlink_to(root, target_is_directory=True)
    assert {r.model for r in read_trials(root)} == {"elsewhere/trial_1", "elsewhere/trial_2"}


def epochs_in_percent(last):
    """Lines of the WeightCLIP zoos: no training_iteration, accuracies in percent."""
    return [
        {"epoch": e, "train_acc": 10.0 + e, "test_acc": 9.0, "val_acc": float("nan")}
        for e in range(last + 1)
    ]


def test_epochs_count_where_iterations_are_missing(tmp_path):
    write_published(tmp_path / "a", {"seed": 1}, epochs_in_percent(9), [3, 9])
    found = [
        (r.epoch, r.properties["epoch"], r.properties["train_acc"]) for r in read_trials(tmp_path)
    ]
    assert found == [(3, 3, 0.13), (9, 9, 0.19)]


def test_percent_is_decided_for_a_zoo_and_not_for_a_line(tmp_path):
    params = {"best_test_acc": 9.5, "late_window_gap": 0.5, "model::dropout": 0.5}
    write_published(tmp_path / "a", {}, [{"epoch": 0, "train_acc": 1.0, "test_acc": 0.5}], [0])
    write_published(tmp_path / "b", params, epochs_in_percent(1), [1])
    nothing_learnt, usual = (record.properties for record in read_trials(tmp_path))
    assert nothing_learnt["train_acc"] == 0.01
    assert nothing_learnt["ggap"] == pytest.approx(0.005)
    assert usual["ggap"] == pytest.approx(0.02)
    assert usual["best_test_acc"] == 0.095
    assert usual["late_window_gap"] == 0.005
    assert usual["model::dropout"] == 0.5


def test_zoos_beside_each_other_are_judged_by_themselves(tmp_path):
    write_published(tmp_path / "percent" / "a", {}, epochs_in_percent(1), [1])
    line = {"training_iteration": 1, "train_acc": 1.0, "test_acc": 0.5, "test_loss": 2.3}
    write_published(tmp_path / "shares" / "a", {}, [line], [1])
    _, kept = (record.properties for record in read_trials(tmp_path))
    assert (kept["train_acc"], kept["test_loss"]) == (1.0, 2.3)


def test_hyper_parameters_may_be_wrapped_once_more(tmp_path):
    write_published(tmp_path / "a", {"train_loop_config": {"model::nlin": "gelu"}}, [], [1])
    assert next(read_trials(tmp_path)).properties == {"model::nlin": "gelu"}


def test_annotations_of_some_epochs_add_to_their_results(tmp_path):
    """As in the zoos of phase transitions, where measures were added to few epochs."""
    lines = [{"training_iteration": e, "test_acc": e / 10} for e in (1, 2)]
    later = {"training_iteration": 2, "hessian": {"trace": 5.0, "eigenvalues": [1, 2]}, "cka": 0.5}
    write_published(tmp_path / "a", {"model::type": "Resnet18_width"}, [*lines, later], [1, 2])
    first, second = (record.properties for record in read_trials(tmp_path))
    assert "cka" not in first
    assert (second["test_acc"], second["cka"], second["hessian::trace"]) == (0.2, 0.5, 5.0)
    assert "hessian::eigenvalues" not in second


def test_a_trial_that_was_killed_and_continued_loses_only_the_torn_line(tmp_path):
    trial = write_published(tmp_path / "a", {}, [], [1, 2, 3])
    (trial / "result.json").write_text(
        '{"training_iteration": 1, "test_acc": 0.1}\n'
        '{"training_iteration": 2, "tes{"training_iteration": 2, "test_acc": 0.2}\n\n'
        '{"training_iteration": 1, "test_acc": 0.11}\n'
        '{"training_iteration": 3, "test_acc": 0.3}'
    )
    found = [record.properties.get("test_acc") for record in read_trials(tmp_path)]
    assert found == [0.11, None, 0.3]


def test_sparsified_twins_say_that_they_were_folded(tmp_path):
    write_published(tmp_path / "a", {"model::type": "CNN_ARD"}, [], [1])
    write_published(tmp_path / "b", {"model::type": "CNN"}, [], [1])
    sparse, dense = (record.properties for record in read_trials(tmp_path))
    assert sparse["folded::log_sigma2"] == 1
    assert "folded::log_sigma2" not in dense


def test_a_stamp_changes_with_the_file_and_with_nothing_else(zoo):
    before = [record.stamp for record in read_trials(zoo)]
    assert before == [record.stamp for record in read_trials(zoo)]
    torch.save({"new": torch.ones(1)}, zoo / "trial_1" / "checkpoint_000002" / "checkpoints")
    after = [record.stamp for record in read_trials(zoo)]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, False] + [True] * 4


def test_records_can_be_sent_to_another_process(zoo):
    record = next(read_trials(zoo))
    sent = pickle.loads(pickle.dumps(record.load))
    assert sent().keys() == record.load().keys()
