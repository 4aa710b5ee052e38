"""Plain folders: model and epoch from paths, and every file either read or reported."""

import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from mzsane.zoos import ModelRecord, Skipped
from mzsane.zoos.reading.naming import is_weights, named
from mzsane.zoos.reading.plain import read_plain


def state(value=0.0):
    return {"layer.weight": torch.full((2, 3), value), "layer.bias": torch.zeros(2)}


def save(path, value=0.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(state(value), path)
    else:
        torch.save(state(value), path)


def records(folder, **arguments):
    return [m for m in read_plain(folder, **arguments) if isinstance(m, ModelRecord)]


def skipped(folder, **arguments):
    return [m for m in read_plain(folder, **arguments) if isinstance(m, Skipped)]


def value(record):
    return record.load()["layer.weight"][0, 0].item()


@pytest.mark.parametrize(
    ("path", "model", "epoch"),
    [
        ("a.pt", "a", None),
        ("model_0001.pt", "model_0001", None),
        ("resnet50.a1_in1k.pth", "resnet50.a1_in1k", None),
        ("model_epoch_10.pt", "", 10),
        ("seed_3_epoch_010.pt", "seed_3", 10),
        ("resnet_epoch_10_seed_1.pth", "resnet_seed_1", 10),
        ("run/epoch=3-step=100.ckpt", "run", 3),
        ("seed=3-epoch=5.ckpt", "seed=3", 5),
        ("run/version_0/checkpoints/epoch=3-step=80-val_loss=0.25-v1.ckpt", "run/version_0", 3),
        ("run/checkpoint-500/model.safetensors", "run", 500),
        ("run/checkpoint-500/pytorch_model.bin.index.json", "run", 500),
        ("epoch_5/a.pt", "a", 5),
        ("epoch_5/checkpoint-500/a.pt", "a", 5),
        ("lr_0.1_epochs_100/ep7.pt", "lr_0.1_epochs_100", 7),
        ("deep_10.pt", "deep_10", None),
        ("best_model.pt", "", None),
        ("a/best.pt", "a", None),
    ],
)
def test_the_path_tells_model_and_epoch(path, model, epoch):
    assert named(path)[:2] == (model, epoch)


@given(
    model=st.from_regex(r"[a-z]{3}_seed_[0-9]{1,3}(/run[0-9])?", fullmatch=True),
    first=st.integers(0, 10**6),
    second=st.integers(0, 10**6),
    style=st.sampled_from(
        ["{m}_epoch_{e}.pt", "{m}/epoch={e}-step=9.ckpt", "{m}/checkpoint-{e}/model.safetensors",
         "epoch_{e}/{m}.pth", "{m}-ep{e:04d}.bin", "{m}/checkpoints/ckpt_{e:06d}.pt"]
    ),
)  # fmt: skip
def test_all_epochs_of_a_model_share_its_name(model, first, second, style):
    one, other = (named(style.format(m=model, e=epoch)) for epoch in (first, second))
    assert one.model == other.model == model
    assert (one.epoch, other.epoch) == (first, second)


def test_what_trainers_leave_beside_weights_is_not_taken_for_weights():
    for name in ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "training_args.bin",
                 "dataset.pt", "dataset_train.pt", "a.json", "optimizer"):  # fmt: skip
        assert not is_weights(name), name
    for name in ("a.pt", "scalers.pt", "datasets_cnn.pt", "model.safetensors.index.json"):
        assert is_weights(name), name


def test_a_file_a_model_in_every_format_and_any_subfolder(tmp_path):
    names = ("a.pt", "b.pth", "c.bin", "sub/d.safetensors", "sub/deeper/e.ckpt")
    for number, name in enumerate(names):
        save(tmp_path / name, float(number))
    found = records(tmp_path)
    assert [(r.model, r.epoch) for r in found] == [(name.rpartition(".")[0], 0) for name in names]
    assert [value(r) for r in found] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert found[3].provenance == {"zoo": str(tmp_path), "file": str(tmp_path / names[3])}


def test_models_and_epochs_come_sorted_and_epochs_are_numbers(tmp_path):
    for epoch in (10, 9, 100):
        save(tmp_path / "b" / f"model_epoch_{epoch}.pt", epoch)
        save(tmp_path / "a" / f"epoch={epoch}-step=5.ckpt", epoch)
    found = records(tmp_path)
    assert [(r.model, r.epoch) for r in found] == [(m, e) for m in "ab" for e in (9, 10, 100)]
    assert [value(r) for r in found] == 2 * [9, 10, 100]
    assert [r.epoch for r in records(tmp_path, epochs=[100, 9])] == 2 * [9, 100]


def test_a_model_without_a_name_is_called_after_the_folder(tmp_path):
    save(tmp_path / "zoo" / "epoch_1.pt")
    assert [r.model for r in records(tmp_path / "zoo")] == ["zoo"]
    assert [r.model for r in records(tmp_path / "zoo", name="owner/zoo")] == ["owner/zoo"]


def test_weights_are_not_read_before_load(tmp_path):
    (tmp_path / "broken.pt").write_bytes(b"no weights")
    save(tmp_path / "whole.pt")
    broken, whole = records(tmp_path)
    with pytest.raises(ValueError, match="cannot be loaded"):
        broken.load()
    assert value(whole) == 0.0


def test_a_lightning_checkpoint_tells_its_epoch(tmp_path):
    torch.save({"epoch": 7, "state_dict": state(7.0)}, tmp_path / "last.ckpt")
    (record,) = records(tmp_path)
    assert (record.epoch, value(record)) == (7, 7.0)


def test_a_checkpoint_that_cannot_be_placed_in_time_is_reported(tmp_path):
    save(tmp_path / "run" / "epoch_1.pt")
    save(tmp_path / "run" / "best.pt")
    save(tmp_path / "other" / "best.pt")
    assert [(r.model, r.epoch) for r in records(tmp_path)] == [("other", 0), ("run", 1)]
    (lost,) = skipped(tmp_path)
    assert lost.path == str(tmp_path / "run" / "best.pt")
    assert "tells an epoch" in lost.reason


def test_of_one_model_and_epoch_the_last_step_and_safetensors_are_taken(tmp_path):
    save(tmp_path / "a" / "epoch=1-step=20.ckpt", 20)
    save(tmp_path / "a" / "epoch=1-step=100.ckpt", 100)
    save(tmp_path / "b" / "pytorch_model.bin", 1)
    save(tmp_path / "b" / "model.safetensors", 2)
    assert [value(r) for r in records(tmp_path)] == [100, 2]
    assert [s.path for s in skipped(tmp_path)] == [
        str(tmp_path / "a" / "epoch=1-step=20.ckpt"), str(tmp_path / "b" / "pytorch_model.bin"),
    ]  # fmt: skip


def test_every_weight_file_is_read_or_reported(tmp_path):
    names = ("a.pt", "a/model.pt", "b/epoch_1.pt", "b/last.pt", "c/ep1-v1.pt", "c/epoch=1.ckpt",
             "d-00001-of-00002.safetensors")  # fmt: skip
    for name in names:
        save(tmp_path / name)
    read = {r.provenance["file"] for r in records(tmp_path)}
    reported = {s.path for s in skipped(tmp_path)}
    assert read | reported == {str(tmp_path / name) for name in names}
    assert not read & reported


def test_a_changed_file_changes_the_stamp(tmp_path):
    save(tmp_path / "a.pt")
    (before,) = records(tmp_path)
    (tmp_path / "a.pt").write_bytes(b"shorter")
    (after,) = records(tmp_path)
    assert before.stamp != after.stamp


def test_a_config_beside_the_weights_gives_properties(tmp_path):
    save(tmp_path / "a" / "model.safetensors")
    save(tmp_path / "b" / "model.safetensors")
    config = {"hidden_size": 64, "model_type": "vit", "layers": [1, 2], "optim::lr": 0.1}
    (tmp_path / "a" / "config.json").write_text(json.dumps(config))
    a, b = records(tmp_path)
    assert a.properties == {
        "config::hidden_size": 64.0, "config::model_type": "vit", "optim::lr": 0.1,
    }  # fmt: skip
    assert b.properties == {}


def test_an_empty_folder_and_unknown_epochs_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights in it"):
        read_plain(tmp_path)
    save(tmp_path / "epoch_3.pt")
    with pytest.raises(ValueError, match=r"epochs \[4\]; choose from \[3\]"):
        read_plain(tmp_path, epochs=[4])


def test_hidden_files_and_links_in_circles_are_left_out(tmp_path):
    save(tmp_path / "a.pt")
    save(tmp_path / ".hidden" / "b.pt")
    (tmp_path / "again").symlink_to(tmp_path)
    assert [r.model for r in records(tmp_path)] == ["a"]
    assert skipped(tmp_path) == []
