"""Splits and orders are functions of a model's name alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzsane.zoos import SPLITS, order, split_of

NAMES = [f"model_{index:05d}" for index in range(2000)]


def test_split_does_not_change_between_versions():
    assert [split_of(name) for name in NAMES[:6]] == [
        "train",
        "train",
        "train",
        "train",
        "train",
        "train",
    ]


def test_shares_are_near_the_fractions():
    for split, fraction in zip(SPLITS, (0.5, 0.3, 0.2), strict=True):
        share = sum(split_of(name, (0.5, 0.3, 0.2)) == split for name in NAMES) / len(NAMES)
        assert share == pytest.approx(fraction, abs=0.04)


@given(st.text())
def test_an_empty_share_gets_no_model(name):
    assert split_of(name, (0.0, 1.0, 0.0)) == "validation"
    assert 0 <= order(name) < 1


def test_orders_differ_by_seed_and_are_independent_of_the_split():
    assert sorted(NAMES, key=order) != sorted(NAMES, key=lambda name: order(name, seed=1))
    first = sorted(NAMES, key=order)[:500]
    assert sum(split_of(name) == "train" for name in first) / 500 == pytest.approx(0.7, abs=0.06)


@pytest.mark.parametrize("fractions", [(0.7, 0.3), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_shares_that_are_not_a_whole_are_refused(fractions):
    with pytest.raises(ValueError, match="sum to 1"):
        split_of("model", fractions)
