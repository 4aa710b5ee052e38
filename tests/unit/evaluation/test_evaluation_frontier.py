"""The frontier is the integral that its formula says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzsane.evaluation import TABLES, area, frontiers, staircase
from mzsane.evaluation.frontier import reached

POINTS = st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), min_size=1, max_size=12)


def test_areas_in_closed_form():
    assert area([(0.0, 1.0)]) == 0  # a copy
    assert area([(1.0, 0.9)]) == pytest.approx(0.9)
    assert area([(7.0, 0.9)]) == pytest.approx(0.9)  # beyond 1 counts as 1
    assert area([(0.5, 0.8)]) == pytest.approx(0.4)
    assert area([(0.5, 0.8), (1.0, 0.2)]) == pytest.approx(0.5 * 0.8 + 0.5 * 0.2)
    assert area([(0.25, 0.5), (0.5, 0.8), (0.75, 0.6), (0.6, 0.1)]) == pytest.approx(
        0.5 * 0.8 + 0.25 * 0.6
    )


@given(POINTS)
def test_the_area_is_that_of_a_riemann_sum(points):
    grid = (np.arange(4000) + 0.5) / 4000
    best = [max((a for n, a in points if n >= t), default=0.0) for t in grid]
    assert area(points) == pytest.approx(np.mean(best), abs=13 / 4000)


@given(POINTS)
def test_corners_rise_in_novelty_and_fall_in_accuracy(points):
    corners = staircase(points)
    assert set(corners) <= set(points)
    assert [n for n, _ in corners] == sorted({n for n, _ in corners})
    assert [a for _, a in corners] == sorted({a for _, a in corners}, reverse=True)


def rows_of(*models, **others):
    common = {"source": "s", "architecture": "cnn", "protocol": "zero_shot", "images": "i"}
    common |= {"members": 1, "finite": 1, "seed": 0} | others
    names = ("method", "family", "kind", "novelty", "accuracy")
    return [common | dict(zip(names, model, strict=True)) for model in models]


def test_trivial_baselines_reach_together_what_none_reaches_alone():
    rows = rows_of(
        ("noise", "noise", "baseline", 0.5, 0.8),
        ("random", "random", "baseline", 2.0, 0.1),
        ("reconstructed", "reconstructed", "reconstruction", 0.9, 0.9),
        ("kde", "kde", "sampler", 0.6, 0.7),
    )
    rows += rows_of(("noise", "noise", "baseline", math.inf, math.nan), finite=0)
    found = {row["family"]: row["frontier"] for row in frontiers(rows)}
    assert found == pytest.approx(
        {"all baselines": 0.45, "noise": 0.4, "random": 0.1, "reconstructed": 0.81, "kde": 0.42}
    )


def test_strengths_of_one_family_share_a_frontier_and_older_tables_have_none():
    rows = rows_of(
        ("noise_0.2", "noise", "baseline", 0.5, 0.8), ("noise_1", "noise", "baseline", 1.0, 0.2)
    )
    assert [row["family"] for row in frontiers(rows)] == ["all baselines", "noise"]
    assert frontiers(rows)[1]["frontier"] == pytest.approx(0.5 * 0.8 + 0.5 * 0.2)
    for row in rows:
        del row["family"]
    assert [row["family"] for row in frontiers(rows)] == ["all baselines", "noise_0.2", "noise_1"]


def test_seeds_have_frontiers_of_their_own():
    first = rows_of(("kde", "kde", "sampler", 0.5, 0.8))
    second = rows_of(("kde", "kde", "sampler", 0.5, 0.4), seed=1)
    found = {row["seed"]: row["frontier"] for row in frontiers(first + second)}
    assert found == pytest.approx({0: 0.4, 1: 0.2})


def test_areas_are_compared_at_equal_numbers_of_models():
    """Many draws of one distribution reach more than few; of as many they reach the same."""
    rng = np.random.default_rng(0)
    draws = [(n, 1 - n) for n in rng.random(400)]
    rows = rows_of(*(("many", "many", "baseline", *draw) for draw in draws))
    rows += rows_of(*(("few", "few", "sampler", *draw) for draw in draws[:20]))
    found = {row["family"]: row for row in frontiers(rows)}
    assert {row["equal_n"] for row in found.values()} == {20}
    assert found["many"]["frontier"] > found["few"]["frontier"] + 0.02
    fresh = [area([draws[i] for i in rng.integers(400, size=20)]) for _ in range(300)]
    assert found["many"]["equal"] == pytest.approx(np.mean(fresh), abs=0.01)
    low, high = np.quantile(fresh, [0.025, 0.975])
    assert (found["many"]["low"], found["many"]["high"]) == pytest.approx((low, high), abs=0.03)


@given(POINTS)
def test_a_draw_of_very_many_models_reaches_what_all_do(points):
    assert reached([points], 300, 0) == pytest.approx(area(points))


def test_rows_have_the_columns_that_are_described():
    found = frontiers(rows_of(("kde", "kde", "sampler", 0.5, 0.8)))
    assert list(found[0]) == list(TABLES["frontier"])
