"""With `repeat`, a run sees the first samples of its stream again and again, and only them."""

import pytest
import torch

from mzsane.data import Loader, WindowDataset, ZooData


def assert_same(a, b):
    for name, x, y in zip(a._fields[:-1], a[:-1], b[:-1], strict=True):
        assert torch.equal(x, y), name


@pytest.mark.parametrize("pack", [False, True])
def test_sample_k_is_sample_k_modulo_the_repeated_ones(stores, pack):
    whole = WindowDataset(stores, 30, seed=3, pack=pack)
    few = WindowDataset(stores, 30, seed=3, pack=pack, repeat=3)
    assert_same(few.__getitems__([0, 4, 8, 3]), whole.__getitems__([0, 1, 2, 0]))
    assert few[7].key.item() == 1  # so that its noise is that of sample 1


def test_every_batch_of_a_repeated_batch_is_the_same_on_all_ranks(stores):
    dataset = WindowDataset(stores, 4, seed=3, repeat=4)
    first, *others = Loader(dataset, 4, 12)
    assert len(others) == 2
    for batch in others:
        assert_same(batch, first)
    shares = [next(iter(Loader(dataset, 4, 12, 0, rank, 2))).key.tolist() for rank in range(2)]
    assert shares == [[0, 1], [2, 3]]


@pytest.mark.parametrize("workers", [0, 1])
def test_validation_shows_what_is_trained_on(stores, workers):
    data = ZooData(stores, 4, 4, 8, repeat=4, seed=3, workers=workers)
    (shown,) = data.val_dataloader()
    assert_same(shown, next(iter(data.train_dataloader())))
    data.teardown("fit")


def test_more_ranks_than_windows_to_validate_show_some_twice(stores, monkeypatch):
    data = ZooData(stores, 4, 4, 8, repeat=2)
    shown = []
    for rank in range(4):
        monkeypatch.setattr(data, "_rank", lambda rank=rank: (rank, 4))
        shown.append([batch.key.tolist() for batch in data.val_dataloader()])
    assert shown == [[[0]], [[1]], [[0]], [[1]]]


def test_no_sample_at_all_is_refused(stores):
    with pytest.raises(ValueError, match=r"data\.repeat=0: at least one"):
        ZooData(stores, 4, 4, 8, repeat=0)
