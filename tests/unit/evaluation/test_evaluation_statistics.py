"""Summaries equal their definitions and do not depend on the order of other groups."""

import math

import numpy as np
import pytest

from mzsane.evaluation import bootstrap_interval, final, summarise


def row(method, accuracy, novelty=1.0, images="i", **others):
    return {
        **{"source": "s", "architecture": "cnn", "protocol": "zero_shot", "images": images},
        **{"method": method, "kind": "sampler", "model": 0, "epochs": 0.0, "members": 1},
        **{"accuracy": accuracy, "novelty": novelty, "finite": 1, "seed": 0, "diversity": 0.5},
        **{"disagreement": 0.1, "agreement": 0.2, "error_overlap": 0.3, **others},
    }


def test_summary_equals_its_definitions():
    values = [0.2, 0.9, 0.4, 0.5]
    (line,) = summarise([row("kde", v, novelty=v) for v in values])
    mean = sum(values) / 4
    assert line["n"] == 4
    assert line["mean"] == pytest.approx(mean)
    assert line["std"] == pytest.approx(math.sqrt(sum((v - mean) ** 2 for v in values) / 3))
    assert line["best"] == 0.9
    assert line["median"] == pytest.approx(0.45)
    assert line["novelty"] == pytest.approx(mean)
    assert 0.2 <= line["low"] < line["mean"] < line["high"] <= 0.9


def test_groups_keep_the_order_in_which_they_first_appear():
    rows = [row("b", 0.1), row("a", 0.2), row("b", 0.3), row("b", 0.5, images="j")]
    lines = summarise(rows)
    assert [(x["method"], x["images"], x["n"]) for x in lines] == [
        ("b", "i", 2),
        ("a", "i", 1),
        ("b", "j", 1),
    ]


def test_interval_of_a_group_ignores_the_others():
    mine = [row("a", v) for v in (0.1, 0.5, 0.6)]
    (alone,) = summarise(mine)
    together = summarise([row("z", 0.9), *mine])
    assert together[1] == alone


def test_one_model_has_no_spread():
    (line,) = summarise([row("average", 0.4)])
    assert math.isnan(line["std"])
    assert line["low"] == line["high"] == 0.4


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        low, high = bootstrap_interval(rng.normal(3.0, 2.0, size=40), seed=trial)
        hits += low < 3.0 < high
    assert 0.88 < hits / 200 < 0.99


def test_seed_repeats_the_interval_and_changes_it():
    values = np.random.default_rng(1).normal(size=20)
    assert bootstrap_interval(values, 0) == bootstrap_interval(values, 0)
    assert bootstrap_interval(values, 0) != bootstrap_interval(values, 1)


def test_broken_models_are_counted_and_left_out():
    broken = [row("kde", math.nan, math.inf, finite=0)] * 2
    (line,) = summarise([row("kde", 0.2), *broken, row("kde", 0.4)])
    assert (line["n"], line["broken"]) == (2, 2)
    assert line["mean"] == pytest.approx(0.3)
    assert line["novelty"] == 1
    (nothing,) = summarise(broken)
    assert nothing["n"] == 0
    assert math.isnan(nothing["mean"])


def test_the_last_moment_of_fine_tuning_is_each_image_sets_own():
    rows = [row("kde", e / 10, images=i, epochs=float(e)) for i, n in (("a", 3), ("b", 2))
            for e in range(n)]  # fmt: skip
    assert [(r["images"], r["epochs"]) for r in final(rows)] == [("a", 2), ("b", 1)]
