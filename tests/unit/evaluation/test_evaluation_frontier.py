"""The frontier is the integral that its formula says."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzsane.evaluation import area, frontiers, staircase

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


def test_trivial_baselines_reach_together_what_none_reaches_alone():
    common = {"source": "s", "architecture": "cnn", "protocol": "zero_shot", "images": "i"}
    rows = [
        common | {"method": m, "kind": k, "finite": f, "members": 1, "novelty": n, "accuracy": a}
        for m, k, f, n, a in [
            ("noise", "baseline", 1, 0.5, 0.8),
            ("random", "baseline", 1, 2.0, 0.1),
            ("noise", "baseline", 0, math.inf, math.nan),
            ("reconstructed", "reconstruction", 1, 0.9, 0.9),
            ("kde", "sampler", 1, 0.6, 0.7),
        ]
    ]
    found = {row["method"]: row["frontier"] for row in frontiers(rows)}
    assert found == pytest.approx(
        {"all baselines": 0.45, "noise": 0.4, "random": 0.1, "reconstructed": 0.81, "kde": 0.42}
    )
