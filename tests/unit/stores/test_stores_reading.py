import multiprocessing
import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch

from mzsane.stores import TokenStore, write_store
from mzsane.zoos import split_of


@pytest.fixture
def path(tmp_path, zoo):
    write_store(tmp_path / "a.h5", zoo("mlp", 20, (1, 2)), name="a", align=False)
    return tmp_path / "a.h5"


def test_a_missing_file_says_what_makes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.h5.*mzsane\.preprocess"):
        TokenStore.open(tmp_path / "none.h5")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"a\.h5: damaged, cut short"):
        TokenStore.open(path)


def test_foreign_files_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("not a store")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"text\.h5: damaged.*no HDF5"):
        TokenStore.open(tmp_path / "text.h5")
    with pytest.raises(ValueError, match=r"other\.h5: an HDF5 file, but no token store"):
        TokenStore.open(tmp_path / "other.h5")


def test_another_format_version_is_refused(path):
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(ValueError, match=r"format 99.*remove it.*make it again"):
        TokenStore.open(path)


@pytest.mark.parametrize("part", ["shelves", "refused", "shelves/0/weights", "shelves/0/stamps"])
def test_a_store_that_lacks_a_part_is_refused(path, part):
    with h5py.File(path, "r+") as file:
        del file[part]
    with pytest.raises(ValueError, match="lacks a part"):
        TokenStore.open(path)


def test_a_changed_weight_is_noticed(path):
    store = TokenStore.open(path)
    with h5py.File(path, "r+") as file:
        file["shelves/0/weights"][3, 5] += 1
    with pytest.raises(ValueError, match="has changed"):
        TokenStore.open(path).verify()
    assert store.architectures[0].weights[3, 5] != 0


def test_weights_are_a_read_only_map_of_the_file(path):
    weights = TokenStore.open(path).architectures[0].weights
    assert isinstance(weights, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


def test_a_store_can_be_pickled_after_it_was_read(path):
    store = TokenStore.open(path)
    weights = store.architectures[0].weights.copy()
    content = pickle.dumps(store)
    assert len(content) < weights.nbytes
    assert np.array_equal(pickle.loads(content).architectures[0].weights, weights)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_several_processes_read_at_once(path, method):
    store = TokenStore.open(path)
    expected = [float(row.sum()) for row in store.architectures[0].weights]
    with multiprocessing.get_context(method).Pool(2) as pool:
        work = [(store, row) for row in range(len(store))]
        assert pool.starmap(_sum, work) == expected


def _sum(store, row):
    return float(store.architectures[0].weights[row].sum())


def test_selections_are_nested_and_respect_the_split(path):
    shelf = TokenStore.open(path).architectures[0]
    available = len({m for m in shelf.models if split_of(m) == "train"})
    previous = set()
    for count in range(1, available + 1):
        rows = shelf.select("train", count)
        models = set(shelf.models[rows])
        assert len(models) == count
        assert len(rows) == 2 * count
        assert previous < models
        assert {split_of(model) for model in models} == {"train"}
        previous = models


def test_splits_divide_all_rows(path):
    shelf = TokenStore.open(path).architectures[0]
    parts = [shelf.select(split) for split in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts)) == list(range(len(shelf)))


def test_epochs_choose_checkpoints(path):
    shelf = TokenStore.open(path).architectures[0]
    assert set(shelf.epochs[shelf.select(epochs=[2])]) == {2}
    with pytest.raises(ValueError, match=r"epochs \[7\] asked for, stored are \[1, 2\]"):
        shelf.select(epochs=[2, 7])


def test_more_models_than_there_are_is_an_error(path):
    shelf = TokenStore.open(path).architectures[0]
    with pytest.raises(ValueError, match="num_models=1000 asked for"):
        shelf.select("train", 1000)
    with pytest.raises(ValueError, match="split 'val'"):
        shelf.select("val")


def test_models_are_counted_over_all_shelves(tmp_path, zoo):
    records = [*zoo("mlp", 10), *zoo("cnn", 10, first=10)]
    write_store(tmp_path / "b.h5", records, name="b", align=False)
    store = TokenStore.open(tmp_path / "b.h5")
    rows = store.select(num_models=5)
    assert sum(map(len, rows)) == 5
    assert all(len(part) for part in rows)


def test_stacked_states_are_the_single_ones(tmp_path, zoo):
    records = [replace(record, architecture=None) for record in zoo("resnet", 3)]
    write_store(tmp_path / "r.h5", records, name="r")
    shelf = TokenStore.open(tmp_path / "r.h5").architectures[0]
    stacked = shelf.states(np.array([2, 0]))
    for at, row in enumerate((2, 0)):
        for name, tensor in shelf.state(row).items():
            assert torch.equal(stacked[name][at], tensor)
