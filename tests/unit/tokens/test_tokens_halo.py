"""Halo windows are exact for every length."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mzsane.tokens import halo_starts, slice_halo, stitch_halo


@given(st.integers(1, 90), st.integers(1, 20), st.integers(0, 7))
def test_stitching_undoes_slicing(length, content, halo):
    sequence = torch.arange(2 * length).view(2, length, 1)
    windows = slice_halo(sequence, content, halo)
    assert torch.equal(stitch_halo(windows, length, content, halo), sequence)


@pytest.mark.parametrize(("content", "halo"), [(1, 0), (16, 3), (104, 12), (256, 128), (3000, 5)])
def test_stitching_undoes_slicing_for_every_length_to_3000(content, halo):
    whole = torch.arange(3000).view(3000, 1)
    for length in range(1, 3001, 1 if content > 1 else 7):  # single places make many windows
        windows = slice_halo(whole[:length], content, halo)
        assert torch.equal(stitch_halo(windows, length, content, halo), whole[:length])


@given(st.integers(1, 90), st.integers(1, 20), st.integers(0, 7))
def test_content_has_its_context_wherever_the_sequence_has_it(length, content, halo):
    windows = slice_halo(torch.arange(length)[:, None], content, halo)[..., 0]
    assert len(windows) == -(-length // content)
    for i, window in enumerate(windows.tolist()):
        start, stop = max(i * content - halo, 0), min((i + 1) * content + halo, length)
        assert set(range(start, stop)) <= set(window)
        assert window == list(range(window[0], window[-1] + 1))


@pytest.mark.parametrize("arguments", [(0, 4, 1), (5, 0, 1), (5, 4, -1)])
def test_impossible_windows_are_refused(arguments):
    with pytest.raises(ValueError, match="at least"):
        halo_starts(*arguments)


def test_windows_of_another_length_are_refused():
    windows = slice_halo(torch.zeros(40, 2), 8, 2)
    with pytest.raises(ValueError, match=r"\[5, 12\] windows and places, \[4, 12\] expected"):
        stitch_halo(windows, 30, 8, 2)
