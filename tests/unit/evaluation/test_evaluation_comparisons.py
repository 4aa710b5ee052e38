"""Paired differences equal their definitions; Holm's correction equals the worked example."""

import math

import numpy as np
import pytest
from scipy.stats import wilcoxon

from mzsane.evaluation import compare, holm


def row(method, model, accuracy, epochs=0.0):
    return {
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
