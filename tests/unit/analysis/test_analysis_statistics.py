"""Layer statistics equal loops written from their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mzsane.analysis.members import Part
from mzsane.analysis.statistics import RECIPES, describe, layer_statistics, weight_sets
from mzsane.architectures import Architecture
from mzsane.tokens import Layout

RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 1}, (1, 8, 8), 3)
numbers = st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=12)


def percentile(values, p):
    """Linear between the sorted values at either side of place (n - 1) p / 100."""
    values, place = sorted(values), (len(values) - 1) * p / 100
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def loop(values, recipe):
    n, mean = len(values), sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    variance = squares / (n - 1 if recipe.unbiased and n > 1 else n)
    return [mean, variance, *(percentile(values, p) for p in recipe.percentiles)]


@pytest.mark.parametrize("name", RECIPES)
@given(values=numbers)
def test_statistics_equal_a_loop(name, values):
    found = describe(np.array([values], np.float32), RECIPES[name])
    np.testing.assert_allclose(found[0], loop(values, RECIPES[name]), rtol=1e-9, atol=1e-9)


def test_the_three_baselines_differ_as_published():
    values = np.arange(11.0)[None]
    unterthiner, nfn, sane = (describe(values, recipe)[0] for recipe in RECIPES.values())
    assert unterthiner.tolist() == [5, 10, 0, 2.5, 5, 7.5, 10]  # biased variance
    assert nfn.tolist() == [5, 11, 0, 2.5, 5, 7.5, 10]  # unbiased
    np.testing.assert_allclose(sane, [5, 10, 0.1, 2.5, 5, 7.5, 9.9])


def test_the_unbiased_variance_of_one_value_is_zero():
    assert describe(np.array([[3.0]]), RECIPES["stats_nfn"])[0, 1] == 0


@pytest.mark.parametrize(("name", "sets"), [("stats_unterthiner", 4), ("stats_sane", 2)])
def test_kernel_and_bias_are_apart_or_together(parts, name, sets):
    part = parts[-1]._replace(rows=parts[-1].rows[:3])
    found = layer_statistics(part, RECIPES[name])
    assert found.shape == (3, 7 * sets)
    state = part.shelf.state(2)
    first = [state["module_list.0.weight"].flatten()]
    if name == "stats_sane":
        first.append(state["module_list.0.bias"])
    expected = loop(torch.cat(first).tolist(), RECIPES[name])
    np.testing.assert_allclose(found[2, :7], expected, rtol=1e-6, atol=1e-9)


def test_every_trained_weight_counts_once_and_no_running_statistics():
    state = RESNET.build(0).state_dict()
    layout = Layout.of(state)
    trained = [n for n, _ in RESNET.build(0).named_parameters()]
    for together in (True, False):
        spans = [span for spans in weight_sets(layout, together) for span in spans]
        sizes = sorted(span.stop - span.start for span in spans)
        assert sizes == sorted(state[name].numel() for name in trained)
        assert len({span.start for span in spans}) == len(spans)


def test_statistics_do_not_depend_on_how_many_are_read_at_once(parts, monkeypatch):
    part = Part("x", parts[0].shelf, parts[0].rows)
    whole = layer_statistics(part, RECIPES["stats_sane"])
    monkeypatch.setattr("mzsane.analysis.statistics.READ", 7 * part.shelf.layout.parameters)
    np.testing.assert_array_equal(layer_statistics(part, RECIPES["stats_sane"]), whole)
