"""Paired differences equal their definitions; Holm's correction equals the worked example."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, wilcoxon

from mzsane.evaluation import TABLES, compare, holm


def row(method, model, accuracy, epochs=0.0, kind="sampler", novelty=math.nan):
    return {
        **{"kind": kind, "novelty": novelty},
        **{"source": "s", "architecture": "cnn", "protocol": "finetuned", "images": "i"},
        **{"method": method, "model": model, "accuracy": accuracy, "epochs": epochs},
        **{"members": 1, "seed": 0},
    }


def test_holm_steps_down_and_never_decreases():
    # by hand: 3 * 0.01 = 0.03, 2 * 0.04 = 0.08, and 0.05 is raised to 0.08
    assert holm([0.04, 0.01, 0.05]) == pytest.approx([0.08, 0.03, 0.08])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert math.isnan(holm([math.nan, 0.02])[0])
    assert holm([math.nan, 0.02])[1] == 0.02


def test_reconstructions_are_compared_with_their_own_originals():
    rng = np.random.default_rng(0)
    before, after = rng.random(12), rng.random(12)
    rows = [row("anchors", i, a) for i, a in enumerate(before)]
    rows += [row("reconstructed", i, a) for i, a in reversed(list(enumerate(after)))]
    (line,) = compare(rows)
    assert (line["method"], line["with"], line["n"]) == ("reconstructed", "anchors", 12)
    assert line["difference"] == pytest.approx(np.mean(after - before))
    assert line["low"] < line["difference"] < line["high"]
    assert line["p"] == pytest.approx(wilcoxon(after, before).pvalue)
    assert line["p_holm"] == line["p"]


def test_fine_tuning_is_compared_with_its_beginning_and_broken_pairs_are_left_out():
    rows = [row("kde", i, 0.1 * i, e) for i in range(5) for e in (0.0, 1.0)]
    rows[1]["accuracy"] = math.nan
    (line,) = compare(rows)
    assert (line["with"], line["n"], line["difference"], line["p"]) == (("itself before", 4, 0, 1))


def test_refinement_is_compared_with_as_much_fine_tuning_and_with_no_other():
    rows = [row("kde", i, 0.5 + 0.01 * i, e) for i in range(4) for e in (0.0, 1.0, 2.0)]
    rows += [
        row("kde", i, 0.6 + 0.01 * i, e) | {"protocol": "refined"}
        for i in range(4)
        for e in (0.0, 2.0)
    ]
    (line,) = (line for line in compare(rows) if line["with"] == "finetuned")
    assert (line["protocol"], line["method"], line["epochs"], line["n"]) == ("refined", "kde", 2, 4)
    assert line["difference"] == pytest.approx(0.1)


def test_p_is_corrected_for_the_methods_that_are_read_together_and_for_no_others():
    rng = np.random.default_rng(0)
    rows = [
        row(method, i, accuracy, epochs) | {"images": images}
        for images in ("i", "j")
        for method in ("kde", "random", "average")
        for epochs in (0.0, 1.0)
        for i, accuracy in enumerate(rng.random(10) + 0.3 * epochs)
    ]
    for images in ("i", "j"):
        family = [line for line in compare(rows) if line["images"] == images]
        assert len(family) == 3
        assert [line["p_holm"] for line in family] == holm([line["p"] for line in family])
        smallest = min(line["p"] for line in family)
        assert min(line["p_holm"] for line in family) == pytest.approx(3 * smallest)


def sample(method, accuracies, novelty, kind="baseline", **others):
    return [
        row(method, i, a, kind=kind, novelty=novelty) | others for i, a in enumerate(accuracies)
    ]


def test_a_sampler_is_compared_with_the_baseline_of_nearest_novelty():
    rng = np.random.default_rng(0)
    ours, theirs = rng.random(12), rng.random(8) + 0.5
    rows = [
        *sample("kde", ours, 0.45, "sampler"),
        *sample("noise_0.2", rng.random(8), 0.2),
        *sample("noise_0.5", theirs, 0.5),
        *sample("average", [0.9], 0.45),  # one model has no spread
        *sample("anchors", rng.random(9), 0.44, "zoo"),
        *sample("noise_0.5", rng.random(8), 0.45, images="others"),
        *sample("kde", [math.nan], math.inf, "sampler"),
    ]
    (line,) = compare(rows)
    assert (line["method"], line["with"], line["test"]) == ("kde", "noise_0.5", "Mann-Whitney")
    assert (line["n"], line["n_with"]) == (12, 8)
    assert (line["novelty"], line["novelty_with"]) == pytest.approx((0.45, 0.5))
    assert line["difference"] == pytest.approx(ours.mean() - theirs.mean())
    assert line["p"] == pytest.approx(mannwhitneyu(ours, theirs).pvalue)
    # as wide as the normal approximation says, two standard errors to each side
    error = np.sqrt(ours.var(ddof=1) / 12 + theirs.var(ddof=1) / 8)
    assert line["high"] - line["low"] == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert list(line) == list(TABLES["comparisons"])


def test_samplers_of_one_setting_are_corrected_together_whatever_their_baselines():
    rng = np.random.default_rng(0)
    rows = [
        *sample("near", rng.random(9) + 0.4, 0.2, "sampler"),
        *sample("far", rng.random(9) + 0.5, 0.8, "sampler"),
        *sample("noise_0.2", rng.random(9), 0.2),
        *sample("noise_1", rng.random(9), 0.8),
    ]
    found = compare(rows)
    assert [line["with"] for line in found] == ["noise_0.2", "noise_1"]
    assert [line["p_holm"] for line in found] == holm([line["p"] for line in found])


def test_refined_samples_are_compared_with_baselines_after_as_much_fine_tuning():
    refined = sample("kde", [0.7, 0.8, 0.9], 0.4, "sampler", protocol="refined", epochs=2.0)
    rows = [*refined, *sample("noise", [0.5, 0.6, 0.7], 0.3, epochs=2.0)]
    rows += sample("noise", [0.1, 0.1, 0.1], 0.3, epochs=1.0)
    (line,) = (line for line in compare(rows) if line["test"] == "Mann-Whitney")
    assert (line["protocol"], line["with"]) == ("refined", "noise")
    assert line["difference"] == pytest.approx(0.2)


def test_samples_that_are_all_equal_do_not_differ():
    (line,) = compare([*sample("kde", [0.1] * 4, 0.4, "sampler"), *sample("n", [0.1] * 4, 0.4)])
    assert (line["difference"], line["p"]) == (0, 1)
