"""Reading trial folders: nothing is lost, and nothing bad gets through unnamed."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.zoos import ModelRecord, Skipped, read_trials
from mzsane.zoos.reading.trials import append_result, write_checkpoint, write_params

CNN = Architecture("mzsane.architectures.CNN", {"width": [2, 2, 2]}, (1, 28, 28), 10)
EPOCHS = (0, 2, 5)


def write(folder, seed, epochs=EPOCHS):
    """A trial of untrained networks, with results that tell the epoch."""
    folder.mkdir(parents=True)
    write_params(folder, {"optim::lr": 0.01, "model::nlin": "tanh", "seed": seed}, CNN)
    for epoch in range(max(epochs) + 1):
        append_result(folder, epoch, {"train_acc": epoch / 10 + 0.05, "test_acc": epoch / 10})
    for epoch in epochs:
        write_checkpoint(folder, epoch, CNN.build(100 * seed + epoch).state_dict())
    return folder


@pytest.fixture
def zoo(tmp_path):
    for seed in (2, 1):
        write(tmp_path / f"trial_{seed}", seed)
    return tmp_path


def skipped(zoo, **arguments):
    return [member for member in read_trials(zoo, **arguments) if isinstance(member, Skipped)]


def test_what_was_written_is_read_by_trial_and_epoch(zoo):
    records = list(read_trials(zoo))
    assert [(r.model, r.epoch) for r in records] == [
        (f"trial_{seed}", epoch) for seed in (1, 2) for epoch in EPOCHS
    ]
    record, expected = records[5], CNN.build(205).state_dict()
    assert all(torch.equal(record.load()[name], expected[name]) for name in expected)
    assert record.architecture == CNN
    assert record.properties["test_acc"] == 0.5
    assert record.properties["ggap"] == pytest.approx(0.05)
    assert record.properties["model::nlin"] == "tanh"
    assert record.provenance["zoo"] == str(zoo)


def test_trials_without_checkpoints_or_description_are_reported(zoo):
    write(zoo / "trial_0", 3)
    (zoo / "trial_0" / "params.json").unlink()
    (zoo / "trial_3").mkdir()
    write_params(zoo / "trial_3", {}, CNN)
    undescribed, unfinished = skipped(zoo)
    assert undescribed == Skipped(str(zoo / "trial_0"), "it has no params.json or config.json")
    assert unfinished == Skipped(str(zoo / "trial_3"), "it has no checkpoint_*")


def test_files_are_laid_out_as_in_published_zoos(zoo):
    trial = zoo / "trial_1"
    state = torch.load(trial / "checkpoint_000005" / "checkpoints", weights_only=True)
    assert list(state) == list(CNN.build().state_dict())
    assert all(tensor.is_contiguous() for tensor in state.values())
    assert json.loads((trial / "params.json").read_text())["optim::lr"] == 0.01
    lines = (trial / "result.json").read_text().splitlines()
    assert [json.loads(line)["training_iteration"] for line in lines] == list(range(6))


def test_weights_in_another_memory_order_are_stored_in_the_usual_one(tmp_path):
    state = {"weight": torch.randn(2, 3, 5, 5).to(memory_format=torch.channels_last)}
    write_checkpoint(tmp_path, 1, state)
    stored = torch.load(tmp_path / "checkpoint_000001" / "checkpoints", weights_only=True)
    assert stored["weight"].is_contiguous()
    assert torch.equal(stored["weight"], state["weight"])


def test_results_are_matched_by_iteration_and_the_last_line_wins(zoo):
    lines = (zoo / "trial_1" / "result.json").read_text().splitlines()
    later = json.dumps({"training_iteration": 2, "test_acc": 0.99})
    # begins with epoch 1, as older zoos do; repeats epoch 2; was killed while writing
    text = "\n".join([*lines[1:], later, '{"training_iteration": 5, "tes'])
    (zoo / "trial_1" / "result.json").write_text(text)
    found = {r.epoch: r.properties.get("test_acc") for r in list(read_trials(zoo))[:3]}
    assert found == {0: None, 2: 0.99, 5: 0.5}


@pytest.mark.parametrize("name", ["checkpoint_5", "checkpoint_000005", "checkpoint_05"])
def test_numbers_may_be_padded_or_not(zoo, name):
    (zoo / "trial_1" / "checkpoint_000005").rename(zoo / "trial_1" / name)
    assert [r.epoch for r in read_trials(zoo) if r.model == "trial_1"] == list(EPOCHS)


def test_what_is_no_trial_is_left_alone(zoo):
    write(zoo / ".trial_00003", 3)
    (zoo / "notes").mkdir()
    (zoo / "readme.md").write_text("hello")
    assert {record.model for record in read_trials(zoo)} == {"trial_1", "trial_2"}


def test_epochs_are_chosen_and_the_caller_may_name_the_architecture(zoo):
    other = Architecture("mzsane.architectures.MLP", {}, (1, 28, 28), 10)
    records = list(read_trials(zoo, epochs=[5, 0, 77], architecture=other))
    assert [r.epoch for r in records] == [0, 5, 0, 5]
    assert all(r.architecture == other for r in records)


def test_a_published_trial_needs_no_key_of_ours(zoo):
    (zoo / "trial_1" / "params.json").write_text('{"model::type": "CNN", "cuda": true}')
    record = next(read_trials(zoo))
    assert record.architecture is None
    assert record.properties["model::type"] == "CNN"


def test_nothing_is_loaded_before_it_is_asked_for(zoo):
    gone = list(read_trials(zoo))[1]
    Path(gone.provenance["file"]).unlink()
    with pytest.raises((OSError, ValueError), match="No such file"):
        gone.load()


class Bomb:
    """Runs code when unpickled by a careless reader."""

    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", pickle.dumps({"weight": 1}), pickle.dumps(Bomb())],
    ids=["empty", "garbage", "no tensors", "code"],
)
def test_a_bad_checkpoint_is_named_and_the_rest_is_read(zoo, content, capsys):
    path = zoo / "trial_1" / "checkpoint_000002" / "checkpoints"
    path.write_bytes(content)
    members = list(read_trials(zoo))
    with pytest.raises(ValueError, match="cannot be loaded"):
        members[1].load()
    assert all(record.load() for record in [members[0], *members[2:]])
    assert capsys.readouterr().out == ""


def test_a_checkpoint_that_is_no_state_dict_is_named(zoo):
    torch.save([torch.zeros(2)], zoo / "trial_1" / "checkpoint_000002" / "checkpoints")
    with pytest.raises(ValueError, match="no state dict"):
        list(read_trials(zoo))[1].load()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("params.json", '{"seed": '),
        ("params.json", "[1, 2]"),
        ("params.json", '{"mzsane::architecture": "{}"}'),
        ("result.json", '{"training_iter\ntest_acc,train_acc\n'),
        ("result.json", '{"test_acc": 1}\n'),
        ("result.json", "3\n4\n"),
    ],
)
def test_a_trial_with_a_bad_description_is_named_once(zoo, name, text):
    (zoo / "trial_1" / name).write_text(text)
    members = list(read_trials(zoo))
    assert [m.path for m in members if isinstance(m, Skipped)] == [str(zoo / "trial_1")]
    assert sum(isinstance(m, ModelRecord) for m in members) == 3


def test_errors_come_at_once_and_name_the_way_out(zoo, tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder; give the one"):
        read_trials(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="give the folder that holds the trials"):
        read_trials(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"epochs \[7, 9\]; choose from \[0, 2, 5\]"):
        read_trials(zoo, epochs=[9, 7])
