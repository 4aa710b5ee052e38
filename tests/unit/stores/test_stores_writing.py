from dataclasses import replace

import numpy as np
import pytest
import torch

from mzsane.stores import TokenStore, write_store
from mzsane.zoos import Skipped, held


def test_unaligned_models_survive_bit_for_bit(tmp_path, zoo):
    untraced = (replace(record, architecture=None) for record in zoo("resnet", 2, (1, 3)))
    records = [*untraced, *zoo("cnn", 2, first=2)]
    write_store(tmp_path / "a.h5", iter(records), name="a", size=16, align=False)
    store = TokenStore.open(tmp_path / "a.h5")
    rows = {
        (len(shelf.layout.shapes), model, epoch): shelf.state(row)
        for shelf in store.architectures
        for row, (model, epoch) in enumerate(zip(shelf.models, shelf.epochs, strict=True))
    }
    assert len(rows) == len(records) == len(store)
    for record in records:
        state = rows[len(record.load()), record.model, record.epoch]
        assert list(state) == list(record.load())
        for name, tensor in record.load().items():
            assert state[name].dtype == tensor.dtype
            assert torch.equal(state[name], tensor)


def test_rows_are_ordered_by_model_and_epoch_whatever_order_they_come_in(tmp_path, zoo):
    records = list(zoo("mlp", 3, (1, 2)))
    write_store(tmp_path / "a.h5", records, name="a")
    write_store(tmp_path / "b.h5", records[::-1], name="a")
    a, b = (TokenStore.open(tmp_path / name) for name in ("a.h5", "b.h5"))
    keys = list(zip(a.architectures[0].models, a.architectures[0].epochs, strict=True))
    assert keys == sorted(keys)
    assert np.array_equal(a.architectures[0].weights, b.architectures[0].weights)
    assert a.content_hash == b.content_hash


def test_properties_become_columns_and_missing_ones_nan(tmp_path, zoo):
    records = list(zoo("mlp", 3))
    del records[1].properties["test_acc"], records[2].properties["config"]
    write_store(tmp_path / "a.h5", records, name="a")
    columns = TokenStore.open(tmp_path / "a.h5").architectures[0].properties
    measured = {"weights::max_abs", "weights::norm"}
    assert set(columns) == {"test_acc", "epoch/share", "config"} | measured
    assert np.array_equal(columns["test_acc"], [0.0, np.nan, 0.2], equal_nan=True)
    assert columns["config"].tolist() == ["c0", "c1", ""]


def test_bad_members_are_skipped_with_their_reasons(tmp_path, zoo):
    good, nan, infinite = zoo("mlp", 3)
    next(iter(nan.load().values()))[0] = torch.nan
    next(iter(infinite.load().values()))[0] = torch.inf
    members = [good, Skipped("trial_9", "no checkpoint"), nan, infinite, good]
    report = write_store(tmp_path / "a.h5", members, name="a")
    assert (report.taken, report.models) == (1, 1)
    reasons = [f"{path}: {reason}" for path, reason in report.skipped]
    wanted = ["trial_9: no checkpoint", "twice", "model_001.*NaN", "model_002.*infinite"]
    assert len(reasons) == len(wanted)
    for reason, part in zip(reasons, wanted, strict=True):
        assert all(piece in reason for piece in part.split(".*"))
    assert TokenStore.open(tmp_path / "a.h5").report == report


def test_a_zoo_with_nothing_left_is_an_error_that_names_reasons(tmp_path):
    with pytest.raises(ValueError, match="trial_1: no checkpoint"):
        write_store(tmp_path / "a.h5", [Skipped("trial_1", "no checkpoint")], name="a")
    assert list(tmp_path.iterdir()) == []


def test_rounding_is_reported(tmp_path, zoo):
    exact = list(zoo("mlp", 2))
    third = torch.full_like(exact[0].load()["module_list.0.weight"].double(), 1 / 3)
    wide = replace(
        exact[1],
        load=held(
            {k: v.double() for k, v in exact[1].load().items()} | {"module_list.0.weight": third}
        ),
    )
    report = write_store(tmp_path / "a.h5", [exact[0], wide], name="a", align=False)
    assert report.rounded == 1
    assert report.rounding == abs(1 / 3 - float(np.float32(1 / 3)))
    report = write_store(tmp_path / "b.h5", exact, name="a", dtype="float16", align=False)
    assert report.rounded == 2
    error = max(
        float((v.double() - v.half().double()).abs().max())
        for record in exact
        for v in record.load().values()
    )
    assert report.rounding == error


def test_a_weight_too_large_for_half_precision_is_skipped(tmp_path, zoo):
    large, small = zoo("mlp", 2)
    next(iter(large.load().values()))[0] = 1e6
    report = write_store(tmp_path / "a.h5", [large, small], name="a", dtype="float16")
    assert [skip.path for skip in report.skipped] == ["model_000 epoch 1"]
    assert "beyond float16" in report.skipped[0].reason


def test_an_untraceable_architecture_is_stored_and_said(tmp_path, zoo, architectures):
    foreign = {f"mine.{name}": value for name, value in next(zoo("mlp", 1)).load().items()}
    unknown = replace(next(zoo("mlp", 1)), architecture=None, load=held(foreign))
    wrong = replace(next(zoo("cnn", 1, first=1)), architecture=architectures["mlp"])
    report = write_store(tmp_path / "a.h5", [unknown, wrong], name="a")
    shelves = TokenStore.open(tmp_path / "a.h5").architectures
    assert [shelf.symmetry for shelf in shelves] == [None, None]
    assert "does not say how to build" in report.untraced[0]
    assert "in the zoo" in report.untraced[1]


def test_one_token_size_serves_all_architectures_of_a_store(tmp_path, zoo):
    write_store(tmp_path / "a.h5", [*zoo("mlp", 1), *zoo("cnn", 1, first=1)], name="a")
    assert {s.layout.d_token for s in TokenStore.open(tmp_path / "a.h5").architectures} == {201}


def test_the_file_is_hardly_larger_than_its_weights(tmp_path, zoo):
    write_store(tmp_path / "a.h5", zoo("cnn", 200), name="a", align=False)
    assert (tmp_path / "a.h5").stat().st_size <= 1.1 * 200 * 2464 * 4


def test_the_hash_follows_the_weights(tmp_path, zoo):
    records = list(zoo("mlp", 2))
    write_store(tmp_path / "a.h5", records, name="a", align=False)
    records[0].load()["module_list.0.weight"][0, 0] += 1e-3
    write_store(tmp_path / "b.h5", records, name="a", align=False)
    a, b = (TokenStore.open(tmp_path / name) for name in ("a.h5", "b.h5"))
    assert a.content_hash != b.content_hash
    a.verify()


def test_an_unknown_dtype_is_refused(tmp_path, zoo):
    with pytest.raises(ValueError, match=r"float64.*float32, float16"):
        write_store(tmp_path / "a.h5", zoo("mlp", 1), name="a", dtype="float64")


def test_progress_is_told(tmp_path, zoo):
    told = []
    write_store(
        tmp_path / "a.h5", zoo("mlp", 3), name="a", progress=lambda *step: told.append(step)
    )
    assert told[-1] == ("storing a", 3, 3)
