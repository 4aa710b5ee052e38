"""Summaries equal their definitions and do not depend on the order of other groups."""

import math

import numpy as np
import pytest

from mzsane.evaluation import bootstrap_interval, summarise


def row(method, accuracy, novelty=1.0, source="s", images="i"):
    return {
        "source": source,
        "method": method,
        "kind": "sampler",
        "images": images,
        "accuracy": accuracy,
        "novelty": novelty,
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
