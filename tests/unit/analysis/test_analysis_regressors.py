"""Each regressor minimises what it says, sees what it claims to see, and repeats by its seed."""

import numpy as np
import pytest
import torch

from mzsane.analysis import Inputs, Plan, columns_of, probe
from mzsane.analysis.features import coordinates, features_of
from mzsane.analysis.probes import predict
from mzsane.analysis.regressors import PENALTIES, REGRESSORS, Split
from mzsane.analysis.scores import r2
from mzsane.progress import silent

SHARES = ("logit_linear", "network")


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def shares(of, rows=300, columns=4, seed=0):
    """Training and validation models, and others with what is true of them."""
    x = np.random.default_rng(seed).normal(size=(rows, columns))
    y = sigmoid(of(x))
    return Split(x[:180], y[:180]), Split(x[180:240], y[180:240]), Split(x[240:], y[240:])


def goodness(regressor, of):
    train, validation, asked = shares(of)
    return r2(asked.y, predict(regressor, "regression", train, validation, asked.x).predicted)


@pytest.mark.parametrize("place", [2, 6, 10])
def test_logit_linear_is_at_the_minimum_of_its_penalised_cross_entropy(place):
    train, _, _ = shares(lambda x: 2 * x[:, 0] - x[:, 1] + 0.5, rows=60)
    x, y = train.x[:50], train.y[:50]
    units = np.concatenate([np.zeros((1, 4)), np.eye(4)])
    answers = list(REGRESSORS["logit_linear"].answers("regression", Split(x, y), units, x, 0))
    penalty, told, fitted = answers[place]
    logits = np.log(told / (1 - told))
    w, b = logits[1:] - logits[0], logits[0]
    assert penalty == PENALTIES[place]
    np.testing.assert_allclose(fitted, sigmoid(x @ w + b), rtol=1e-6)
    np.testing.assert_allclose((fitted - y) @ x + penalty * w, 0, atol=0.02)
    assert (fitted - y).sum() == pytest.approx(0, abs=0.02)


def test_what_saturates_is_seen_through_a_sigmoid_and_not_by_a_line():
    def steep(x):
        return 6 * x[:, 0] - 4 * x[:, 1]

    assert goodness("logit_linear", steep) > 0.999
    assert goodness("linear", steep) < 0.95


def test_a_network_sees_what_no_linear_map_can():
    def product(x):
        return 2 * x[:, 0] * x[:, 1]

    assert goodness("network", product) > 0.8
    assert max(goodness("linear", product), goodness("logit_linear", product)) < 0.2


@pytest.mark.parametrize("regressor", SHARES)
def test_predicted_shares_are_shares_however_far_away_a_model_is(regressor):
    train, validation, asked = shares(lambda x: 3 * x[:, 0])
    answer = predict(regressor, "regression", train, validation, 50 * asked.x)
    assert answer.predicted.shape == asked.y.shape
    assert ((answer.predicted >= 0) & (answer.predicted <= 1)).all()


def test_a_network_is_a_function_of_its_seed_and_leaves_the_global_state_alone(monkeypatch):
    monkeypatch.setattr("mzsane.analysis.regressors.network.STEPS", 60)
    train, validation, asked = shares(lambda x: x[:, 0], rows=300)
    before = torch.get_rng_state()
    first, again, other = (
        predict("network", "regression", train, validation, asked.x, seed) for seed in (3, 3, 4)
    )
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(first.predicted, again.predicted)
    assert first.choice == again.choice
    assert (first.predicted != other.predicted).any()


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_chosen_is_the_simplest_of_what_validation_likes_best(regressor, monkeypatch):
    monkeypatch.setattr("mzsane.analysis.regressors.network.STEPS", 240)
    train, validation, asked = shares(lambda x: x[:, 0] + np.sin(5 * x[:, 1]), rows=270)
    answers = list(REGRESSORS[regressor].answers("regression", train, validation.x, asked.x, 0))
    errors = [np.square(guessed - validation.y).mean() for _, guessed, _ in answers]
    choice, _, predicted = answers[int(np.argmin(errors))]
    answer = predict(regressor, "regression", train, validation, asked.x)
    assert answer.choice == choice
    assert len({number for number, _, _ in answers}) == len(answers) > 10
    np.testing.assert_array_equal(answer.predicted, predicted)


@pytest.mark.parametrize("regressor", SHARES)
def test_what_a_sigmoid_cannot_predict_is_said_in_the_table(parts, regressor):
    part = parts[0]
    columns = columns_of(part)
    embedding = np.random.default_rng(0).normal(size=(len(part.rows), 3))
    plan = Plan(["test_acc", "epoch", "optim::name"], ["embedding"], [regressor], 0, 0)
    rows = probe(Inputs([part], columns, embedding), plan, silent)
    rows = [row for row in rows if row["features"] != "none"]
    notes = {row["target"]: row["note"] for row in rows}
    assert notes["epoch"] == "a sigmoid predicts numbers within [0, 1], these are from 1 to 3"
    assert notes["optim::name"] == "a sigmoid predicts numbers within [0, 1], not classes"
    assert notes["test_acc"] == ""
    assert {row["target"] for row in rows if np.isfinite(row["value"])} == {"test_acc"}


def test_too_many_columns_are_no_matter_for_trees(parts, monkeypatch):
    monkeypatch.setattr("mzsane.analysis.regressors.trees.COLUMNS", 2)
    columns = columns_of(parts[0])
    embedding = np.random.default_rng(0).normal(size=(len(columns["row"]), 3))
    inputs = Inputs(parts[:1], columns, embedding)
    rows = probe(inputs, Plan(["test_acc"], ["embedding"], ["boosting"], 0, 0), silent)
    assert rows[-1]["note"] == "3 columns are too many for trees"


def test_the_variances_of_two_baselines_differ_as_published_and_no_regressor_sees_it(parts):
    part = parts[0]
    biased, unbiased = (
        features_of(name, part, np.empty((0, 1))) for name in ("stats_unterthiner", "stats_nfn")
    )
    assert biased.meaning == unbiased.meaning
    ratio = unbiased.values().mean(0) / biased.values().mean(0)
    sizes = [int(np.prod(shape)) for _, shape, _ in part.shelf.layout.shapes]
    factors = [n / (n - 1) for n in sizes]
    variances = [name.endswith("variance") for name in biased.meaning]
    np.testing.assert_allclose(ratio[variances], factors, rtol=1e-9)
    np.testing.assert_array_equal(
        biased.values()[:, ~np.array(variances)], unbiased.values()[:, ~np.array(variances)]
    )
    rows, train = np.ones(len(part.rows), bool), np.arange(len(part.rows)) % 3 > 0
    scaled = [coordinates(one, rows, train) for one in (biased, unbiased)]
    np.testing.assert_allclose(*scaled, atol=1e-6)
    y = np.random.default_rng(0).random(len(rows))
    columns = [one.values() for one in (biased, unbiased)]
    splits = [Split(x[train], y[train]) for x in columns]
    found = [
        predict("boosting", "regression", split, split, x[~train]).predicted
        for x, split in zip(columns, splits, strict=True)
    ]
    np.testing.assert_allclose(*found)
