import itertools
import types

import pytest
import torch

from mzsane.data import Loader, WindowDataset


@pytest.fixture
def dataset(stores):
    return WindowDataset(stores, 2, seed=3)


def keys(loader, epochs=1):
    return [batch.key.tolist() for _ in range(epochs) for batch in loader]


def test_epochs_follow_each_other_in_the_stream(dataset):
    loader = Loader(dataset, batch_size=4, samples_per_epoch=14)
    assert len(loader) == 3
    assert list(itertools.chain(*keys(loader, 3))) == list(range(36))


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("taken", range(1, 8))
def test_resuming_anywhere_gives_the_rest(dataset, workers, taken):
    whole = keys(Loader(dataset, 4, 12), 3)
    loader = Loader(dataset, 4, 12, workers)
    seen = []
    while len(seen) < taken:
        for batch in loader:
            seen.append(batch.key.tolist())
            if len(seen) == taken:
                break
    resumed = Loader(dataset, 4, 12, workers=2 - workers)
    resumed.load_state_dict(loader.state_dict())
    rest = []
    while len(rest) < len(whole) - taken:
        rest += keys(resumed)
    assert seen + rest == whole
    if taken % 3:
        again = Loader(dataset, 4, 12)
        again.load_state_dict(loader.state_dict())
        assert len(keys(again)) == 3 - taken % 3


def test_workers_change_nothing(dataset):
    one, many = (Loader(dataset, 4, 12, workers) for workers in (0, 2))
    for a, b in zip(one, many, strict=True):
        assert a.mixed == b.mixed
        for x, y in zip(a[:-1], b[:-1], strict=True):
            assert torch.equal(x, y)
    assert keys(one) == keys(many)


@pytest.mark.parametrize("workers", [0, 1])
def test_packed_samples_are_the_same_on_any_rank_and_in_any_worker(stores, workers):
    packed = WindowDataset(stores, 50, seed=3, mix="uniform", pack=True)
    ranks = [Loader(packed, 8, 8, workers, rank, 2) for rank in range(2)]
    (whole,) = Loader(packed, 8, 8)
    shares = [batch for rank in ranks for batch in rank]
    for name, part in zip(whole._fields[:-1], whole[:-1], strict=True):
        assert torch.equal(torch.cat([getattr(share, name) for share in shares]), part), name


@pytest.mark.parametrize("world_size", [2, 4])
def test_the_union_over_ranks_is_the_stream(dataset, world_size):
    ranks = [Loader(dataset, 8, 16, 0, rank, world_size) for rank in range(world_size)]
    together = [list(itertools.chain(*shares)) for shares in zip(*map(keys, ranks), strict=True)]
    assert together == keys(Loader(dataset, 8, 16))


def test_a_run_can_go_on_with_other_ranks(dataset):
    loader = Loader(dataset, 8, 24, 0, rank=1, world_size=2)
    next(iter(loader))
    single = Loader(dataset, 8, 24)
    single.load_state_dict(loader.state_dict())
    assert keys(single) == keys(Loader(dataset, 8, 24))[1:]


def test_iterators_that_are_never_read_change_nothing(dataset):
    loader = Loader(dataset, 4, 12)
    iter(loader), iter(loader)
    assert keys(loader) == keys(Loader(dataset, 4, 12))
    loader.load_state_dict({"epoch_start": 12, "seen": 4})
    iter(loader)
    assert keys(loader) == [[16, 17, 18, 19], [20, 21, 22, 23]]


def test_an_epoch_that_is_broken_off_repeats_nothing(dataset):
    loader = Loader(dataset, 4, 12)
    first = [batch.key.tolist() for batch in itertools.islice(loader, 2)]
    assert first + keys(loader) == [list(range(k, k + 4)) for k in range(0, 20, 4)]


@pytest.mark.parametrize("workers", [0, 1])
def test_reading_leaves_the_global_random_state_alone(dataset, workers):
    before = torch.get_rng_state()
    keys(Loader(dataset, 4, 12, workers), 2)
    assert torch.equal(torch.get_rng_state(), before)


def test_sizes_that_do_not_fit_are_refused(dataset):
    with pytest.raises(ValueError, match="batch_size=6: a multiple of the number of processes, 4"):
        Loader(dataset, 6, 12, world_size=4)
    with pytest.raises(ValueError, match="samples_per_epoch=3"):
        Loader(dataset, 4, 3)
    with pytest.raises(ValueError, match="keep its batch size"):
        Loader(dataset, 8, 24).load_state_dict({"epoch_start": 0, "seen": 12})


def test_waiting_is_timed_and_working_is_not(dataset, monkeypatch):
    clock = itertools.count()
    fake = types.SimpleNamespace(perf_counter=lambda: next(clock))
    monkeypatch.setattr("mzsane.data.loader.time", fake)
    loader = Loader(dataset, 8, 16)
    for _ in loader:
        for _ in range(100):
            next(clock)
    assert loader.waited == 2  # a tick for each of two batches
