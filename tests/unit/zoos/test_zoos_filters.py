"""Filters look at values, never at the order of rows, and say what they left out."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzsane.zoos import Accuracy, First, Magnitude, Quantile, keep

ACCURACIES = st.lists(st.floats(0, 1), min_size=1, max_size=60)


def columns(accuracies, epochs=1):
    """Rows of models with `epochs` checkpoints each."""
    number = np.arange(len(accuracies))
    return {
        "model": np.array([f"model{n // epochs}" for n in number]),
        "epoch": number % epochs,
        "test_acc": np.asarray(accuracies, float),
        "weights::max_abs": np.linspace(0.5, 5, len(number)),
        "optim::optimizer": np.array(["adam"] * len(number)),
    }


def reordered(table, seed):
    rows = np.random.default_rng([0, seed]).permutation(len(table["model"]))
    return {name: values[rows] for name, values in table.items()}, rows


@given(ACCURACIES, st.floats(0, 1), st.floats(0, 1))
def test_accuracy_keeps_a_range_with_its_ends(accuracies, low, high):
    kept = Accuracy(low, high)(columns(accuracies))
    assert kept.tolist() == [low <= value <= high for value in accuracies]


@given(ACCURACIES, st.floats(0, 1), st.floats(0, 1))
def test_a_looser_limit_keeps_what_a_stricter_one_keeps(accuracies, one, two):
    table = columns(accuracies)
    strict, loose = Accuracy(max(one, two))(table), Accuracy(min(one, two))(table)
    assert not (strict & ~loose).any()


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=60, unique=True), st.floats(0, 0.98), st.data()
)
def test_a_quantile_keeps_the_expected_share(accuracies, low, data):
    high = data.draw(st.floats(low + 0.01, 1))
    kept = Quantile(low=low, high=high)(columns(accuracies)).sum()
    assert abs(kept - (high - low) * (len(accuracies) - 1)) <= 1 + 1e-9


@given(ACCURACIES)
def test_upper_and_lower_half_leave_no_more_than_one_value_out(accuracies):
    table = columns(accuracies)
    left = ~(Quantile(high=0.5)(table) | Quantile(low=0.5)(table))
    assert not left.any()


def test_the_best_quarter_is_the_best_quarter():
    kept = Quantile("test_acc", low=0.75)(columns([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]))
    assert np.flatnonzero(kept).tolist() == [6, 7, 8]


@given(
    ACCURACIES,
    st.sampled_from([Accuracy(0.3, 0.8), Quantile(low=0.2, high=0.7), Magnitude(3), First(1)]),
    st.integers(0, 99),
)
def test_the_order_of_rows_decides_nothing(accuracies, judge, seed):
    table = columns(accuracies, epochs=2)
    other, rows = reordered(table, seed)
    assert judge(other).tolist() == judge(table)[rows].tolist()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 3))
def test_the_first_models_are_nested_and_whole(one, two, seed):
    table = columns([0.5] * 120, epochs=3)
    few, many = First(min(one, two), seed)(table), First(max(one, two), seed)(table)
    assert not (few & ~many).any()
    assert many.sum() == 3 * max(one, two)


def test_another_seed_chooses_other_models():
    table = columns([0.5] * 100)
    assert (First(20, 0)(table) != First(20, 1)(table)).any()


@pytest.mark.parametrize("judge", [Accuracy(), Quantile(), Magnitude(9)])
def test_a_missing_value_is_not_kept_but_counted(judge):
    of = getattr(judge, "of", "weights::max_abs")
    table = columns([0.1, 0.2, 0.3])
    table[of] = np.array([1.0, np.nan, 1.0])
    kept = keep(table, {"it": judge})
    assert kept.rows.tolist() == [True, False, True]
    assert kept.account == {"it": f"1 of 3 left out, 1 of them without {of}"}


def test_a_column_without_any_value_leaves_nothing():
    with pytest.raises(ValueError, match="'it' leaves nothing: 2 of 2 left out, 2 of them without"):
        keep(columns([np.nan, np.nan]), {"it": Quantile()})


def test_filters_act_one_after_the_other():
    table = columns(np.linspace(0, 1, 50))
    kept = keep(table, {"good": Accuracy(0.5), "few": First(10)})
    assert kept.rows.sum() == 10
    assert table["test_acc"][kept.rows].min() >= 0.5
    assert kept.account == {"good": "25 of 50 left out", "few": "15 of 25 left out"}


def test_no_filter_keeps_all():
    assert keep(columns([0.1, 0.2]), {}).rows.all()


def late(columns, after):
    return columns["epoch"] > after


def test_any_callable_of_the_columns_is_a_filter():
    kept = keep(columns([0.5] * 6, epochs=3), {"late": partial(late, after=1)})
    assert kept.rows.tolist() == [False, False, True] * 2


@pytest.mark.parametrize(
    ("judge", "sentence"),
    [
        (Accuracy(of="test_ac"), "'test_ac' is not known of these models; there is: epoch, tes"),
        (Quantile(of="optim::optimizer"), "'optim::optimizer' is not a number"),
        (First(4), "the first 4 models asked for, there are 3"),
        (Accuracy(2.0), "leaves nothing: 3 of 3 left out; loosen it"),
        (lambda columns: columns["epoch"], "must give one bool for each of 3 rows"),
        (lambda columns: np.array([True]), "must give one bool for each of 3 rows"),
    ],
)  # fmt: skip
def test_mistakes_name_the_filter(judge, sentence):
    with pytest.raises(ValueError, match="filter 'mine'") as failure:
        keep(columns([0.1, 0.2, 0.3]), {"mine": judge})
    assert sentence in str(failure.value)


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.5), (-0.1, 1), (0, 1.1), (0.9, 0.1)])
def test_quantiles_are_an_interval_of_shares(low, high):
    with pytest.raises(ValueError, match="0 <= low < high <= 1"):
        Quantile(low=low, high=high)
