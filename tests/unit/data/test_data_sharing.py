"""Processes that divide a list of windows count every weight of it once."""

import pytest
import torch
from torch.utils.data import DataLoader

from mzsane.data.loader import as_it_is
from mzsane.data.sharing import Share
from mzsane.data.validation import ValidationWindows


@pytest.fixture(scope="module")
def windows(stores):
    return ValidationWindows(stores, 8, 0)


def batches(windows, rank, world_size):
    share = Share(windows, rank, world_size)
    return list(DataLoader(share, batch_size=2, collate_fn=as_it_is))


def counted(batches):
    """Numbers of the windows of which weights count, and how many."""
    pairs = [(b.key.tolist(), b.mask.sum((1, 2)).tolist()) for b in batches]
    return sorted((key, n) for keys, sums in pairs for key, n in zip(keys, sums, strict=True) if n)


@pytest.mark.parametrize("world_size", [2, 3, 4, 1000])
def test_each_window_counts_for_one_process_and_all_take_the_same_steps(windows, world_size):
    assert len(windows) % 4
    assert len(windows) < 1000
    shares = [batches(windows, rank, world_size) for rank in range(world_size)]
    sizes = [[len(batch.values) for batch in share] for share in shares]
    assert all(own == sizes[0] for own in sizes)
    everything = counted(batches(windows, 0, 1))
    assert counted([batch for share in shares for batch in share]) == everything
    assert [key for key, _ in everything] == list(range(len(windows)))


def test_a_window_that_is_shown_once_more_still_looks_like_itself(windows):
    *_, last = batches(windows, 3, 4)
    own = windows[int(last.key[-1])]
    assert torch.equal(last.values[-1:], own.values)
    assert not last.mask[-1].any()
    assert own.mask.any()
