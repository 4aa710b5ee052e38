"""Weights in several files are one model, or a clear sentence."""

import json

import pytest
import torch
from safetensors.torch import save_file

from mzsane.zoos import Skipped
from mzsane.zoos.reading.plain import read_plain
from mzsane.zoos.reading.shards import load_shards

STATE = {f"layer{i}.weight": torch.full((2, 2), float(i)) for i in range(4)}


def write(folder, stem="model", suffix=".safetensors"):
    """Two parts and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{stem}-0000{part + 1}-of-00002{suffix}" for part in range(2)]
    places = {name: names[number // 2] for number, name in enumerate(STATE)}
    for file in names:
        part = {name: STATE[name] for name in STATE if places[name] == file}
        save_file(part, folder / file) if suffix == ".safetensors" else torch.save(
            part, folder / file
        )
    index = folder / f"{stem}{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 64}, "weight_map": places}))
    return index


@pytest.mark.parametrize(("stem", "suffix"), [("model", ".safetensors"), ("pytorch_model", ".bin")])
def test_parts_are_one_model(tmp_path, stem, suffix):
    write(tmp_path / "a" / "checkpoint-5", stem, suffix)
    (record,) = read_plain(tmp_path)
    assert (record.model, record.epoch) == ("a", 5)
    loaded = record.load()
    assert loaded.keys() == STATE.keys()
    assert all(torch.equal(loaded[name], STATE[name]) for name in STATE)


def test_a_changed_part_changes_the_stamp(tmp_path):
    index = write(tmp_path)
    (before,) = read_plain(tmp_path)
    save_file({"layer3.weight": torch.ones(1)}, index.parent / "model-00002-of-00002.safetensors")
    (after,) = read_plain(tmp_path)
    assert before.stamp != after.stamp
    with pytest.raises(ValueError, match="hold 3 tensors, its index lists 4"):
        after.load()


def test_a_missing_part_is_named_and_neighbours_survive(tmp_path):
    index = write(tmp_path / "a")
    write(tmp_path / "b")
    (tmp_path / "a" / "model-00002-of-00002.safetensors").unlink()
    record, lost = read_plain(tmp_path)
    assert record.model == "b"
    assert lost.path == str(index)
    assert "1 of 2 parts are missing, first model-00002-of-00002.safetensors" in lost.reason
    with pytest.raises(FileNotFoundError, match="1 of 2 parts"):
        load_shards(index)


def test_parts_without_an_index_are_reported(tmp_path):
    write(tmp_path / "a").unlink()
    write(tmp_path / "b")
    _, *lost = read_plain(tmp_path)
    assert len(lost) == 2
    assert all(isinstance(m, Skipped) and "index.json is missing" in m.reason for m in lost)


def test_a_damaged_part_is_named(tmp_path):
    index = write(tmp_path)
    (tmp_path / "model-00001-of-00002.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(ValueError, match="its part model-00001"):
        load_shards(index)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../secret.bin"}}']
)
def test_what_is_no_index_is_refused(tmp_path, text):
    write(tmp_path / "whole")
    (tmp_path / "model.safetensors.index.json").write_text(text)
    (tmp_path.parent / "secret.bin").write_bytes(b"")
    record, lost = read_plain(tmp_path)
    assert record.model == "whole"
    assert "no index" in lost.reason or "lists no files" in lost.reason
