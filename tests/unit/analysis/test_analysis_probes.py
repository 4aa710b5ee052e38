"""Probes find what is planted, nothing where there is nothing, and never see the test models."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score

from mzsane.analysis import Inputs, Plan, probe
from mzsane.analysis.features import Features, below, coordinates, features_of
from mzsane.analysis.probes import predict
from mzsane.analysis.regressors import PENALTIES, REGRESSORS, Split
from mzsane.analysis.scores import METRICS, kendall, r2, scored
from mzsane.analysis.targets import targets_of
from mzsane.progress import silent
from mzsane.zoos import split_of

PLAN = Plan(["planted"], ["embedding"], ["linear"], 50, 0)


def data(rows=90, columns=6, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns))
    return x, x @ rng.normal(size=columns) + 3.0


def split(x, y):
    return Split(x[:50], y[:50]), Split(x[50:70], y[50:70])


def features(values):
    return Features("x", (), values.shape[1], lambda: iter(np.array_split(values, 3, axis=1)))


class FakeParts:
    """A zoo whose embeddings are numbers of our choice."""

    def __init__(self, parts):
        self.part, count = parts[0], len(parts[0].rows)
        rng = np.random.default_rng(1)
        self.embedding = rng.normal(size=(count, 4)).astype(np.float32)
        models = self.part.shelf.models.astype(str)
        self.columns = {
            "source": np.full(count, "cnns"), "model": models, "row": self.part.rows,
            "architecture": np.full(count, "cnn"), "epoch": self.part.shelf.epochs,
            "split": np.array([split_of(name) for name in models]),
            "planted": self.embedding @ [1.0, -2.0, 0.5, 0.0] + 7.0,
        }  # fmt: skip

    def inputs(self, **columns):
        return Inputs([self.part], self.columns | columns, self.embedding)


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """What networks learn is not asked for here."""
    monkeypatch.setattr("mzsane.analysis.regressors.network.STEPS", 60)


@pytest.fixture
def zoo(parts):
    return FakeParts(parts)


def value(rows, metric, features="embedding"):
    (row,) = [r for r in rows if r["metric"] == metric and r["features"] == features]
    return row["value"]


def test_the_penalties_are_those_of_the_published_probes():
    assert PENALTIES[:4] == (1e3, 3e2, 1e2, 3e1)
    assert PENALTIES[-1] == 1e-5
    assert len(PENALTIES) == 17


def test_ridge_equals_the_closed_form_with_the_penalty_that_validation_likes_best():
    x, y = data(columns=30)
    y = y + np.random.default_rng(5).normal(size=90) * 3
    train, validation = split(x, y)
    best, expected = -np.inf, None
    for penalty in PENALTIES:
        mean = train.x.mean(0)
        centred = train.x - mean
        gram = centred.T @ centred + penalty * np.eye(30)
        w = np.linalg.solve(gram, centred.T @ (train.y - train.y.mean()))
        guess = (x - mean) @ w + train.y.mean()
        if (score := r2(validation.y, guess[50:70])) > best:
            best, expected, chosen = score, guess[70:], penalty
    answer = predict("linear", "regression", train, validation, x[70:])
    assert answer.choice == chosen
    assert 1e-5 < chosen < 1e3
    np.testing.assert_allclose(answer.predicted, expected, rtol=1e-8)


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_a_choice_never_depends_on_test_models(regressor):
    x, y = data()
    y = 1 / (1 + np.exp(-y))
    train, validation = split(x, y)
    first = predict(regressor, "regression", train, validation, x[70:])
    other = predict(regressor, "regression", train, validation, x[70:] * 9 + 1)
    assert first.choice == other.choice
    assert first.predicted.shape == (20,)


def test_standardisation_and_dual_form_never_see_test_models():
    x = np.random.default_rng(0).normal(size=(30, 80))
    rows, train = np.ones(30, bool), np.arange(30) < 20
    seen = coordinates(features(x), rows, train)
    x[25:] = 1e6
    again = coordinates(features(x), rows, train)
    np.testing.assert_array_equal(seen[:25], again[:25])


@pytest.mark.parametrize("columns", [8, 400])
def test_coordinates_give_the_solution_of_the_full_matrix(columns):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, columns)) * rng.uniform(0.1, 9, columns) + rng.normal(size=columns)
    y, rows, train = rng.normal(size=40), np.ones(40, bool), np.arange(40) < 25
    scaled = (x - x[train].mean(0)) / x[train].std(0)
    z = coordinates(features(x), rows, train)
    assert z.shape[1] <= 25
    full = Ridge(3.0).fit(scaled[train], y[train]).predict(scaled)
    np.testing.assert_allclose(Ridge(3.0).fit(z[train], y[train]).predict(z), full, atol=1e-8)
    classes = y > 0
    both = [
        LogisticRegression(C=0.1, tol=1e-10, max_iter=5000)
        .fit(v[train], classes[train])
        .decision_function(v)
        for v in (scaled, z)
    ]
    np.testing.assert_allclose(both[0], both[1], atol=1e-4)


def test_constant_columns_are_harmless():
    x = np.random.default_rng(0).normal(size=(10, 4))
    x[:, 2] = 5.0
    seen = coordinates(features(x), np.ones(10, bool), np.arange(10) < 6)
    assert np.isfinite(seen).all()


def test_weights_are_read_in_blocks_and_below_each_other(parts, monkeypatch):
    part = parts[0]
    monkeypatch.setattr("mzsane.analysis.features.COLUMNS", 50)
    halves = [part._replace(rows=rows) for rows in np.split(part.rows, 2)]
    found = below([features_of("weights", half, np.empty((0, 1))) for half in halves])
    np.testing.assert_array_equal(found.values(), part.shelf.weights)
    other = features_of("weights", parts[1], np.empty((0, 1)))
    assert below([features_of("weights", part, np.empty((0, 1))), other]) is None


def test_a_planted_linear_target_is_found_and_its_shuffle_is_not(zoo):
    assert value(probe(zoo.inputs(), PLAN, silent), "r2") > 0.999
    rng = np.random.default_rng(3)
    names = np.unique(zoo.columns["model"])
    drawn = dict(zip(names, rng.normal(size=len(names)), strict=True))
    nothing = np.array([drawn[name] for name in zoo.columns["model"]])
    assert value(probe(zoo.inputs(planted=nothing), PLAN, silent), "r2") < 0.1


def test_the_table_of_probes_learns_nothing_from_test_models_and_chooses_on_validation(zoo):
    rng = np.random.default_rng(0)
    noisy = zoo.columns["planted"] + rng.normal(size=60) * 3

    def choice(split):
        planted = noisy.copy()
        of_split = zoo.columns["split"] == split
        planted[of_split] = -9 * planted[of_split] + 100
        rows = probe(zoo.inputs(planted=planted), PLAN, silent)
        return next(r["choice"] for r in rows if r["features"] == "embedding")

    untouched = choice("none of them")
    assert choice("test") == untouched
    assert choice("validation") != untouched


def test_classes_are_found_beside_the_majority(zoo):
    classes = np.where(zoo.embedding[:, 0] > 0.3, "big", "small")
    rows = probe(zoo.inputs(planted=classes), PLAN, silent)
    assert value(rows, "accuracy") > 0.85
    test = zoo.columns["split"] == "test"
    assert value(rows, "accuracy", "none") == pytest.approx((classes[test] == "small").mean())


def test_no_model_is_in_two_splits_and_every_row_says_how_many_there_are(zoo):
    row = probe(zoo.inputs(), PLAN, silent)[0]
    splits = {name: set(zoo.columns["model"][zoo.columns["split"] == name]) for name in
              ("train", "validation", "test")}  # fmt: skip
    assert sum(map(len, splits.values())) == len(set.union(*splits.values()))
    for name, models in splits.items():
        assert row[f"{name}_models"] == len(models)
        assert row[f"{name}_checkpoints"] == 3 * len(models)


def test_unknown_values_are_left_out(zoo):
    planted = zoo.columns["planted"].copy()
    planted[::2] = np.nan
    rows = probe(zoo.inputs(planted=planted), PLAN, silent)
    assert value(rows, "r2") > 0.99
    total = sum(rows[0][f"{split}_checkpoints"] for split in ("train", "validation", "test"))
    assert total == 30


@pytest.mark.parametrize("regressor", REGRESSORS)
def test_all_kinds_of_features_are_probed(zoo, regressor):
    names = ["embedding", "weights", "stats_unterthiner", "stats_nfn", "stats_sane"]
    share = 1 / (1 + np.exp(-zoo.columns["planted"]))
    plan = Plan(["planted"], names, [regressor], 0, 0)
    rows = probe(zoo.inputs(planted=share), plan, silent)
    assert {row["features"] for row in rows} == {"none", *names}
    assert all(np.isfinite(row["value"]) for row in rows if row["metric"] == "r2")


def test_unlike_networks_are_probed_apart_and_together_only_where_columns_agree(parts):
    from mzsane.analysis import columns_of, joined

    columns = joined([columns_of(part) for part in parts])
    embedding = np.random.default_rng(0).normal(size=(len(columns["model"]), 3))
    plan = Plan(["test_acc"], ["embedding", "weights", "stats_sane"], ["linear"], 0, 0)
    rows = probe(Inputs(parts, columns, embedding), plan, silent)
    assert {row["scope"] for row in rows} == {"cnns/cnn", "mlps/mlp", "all"}
    missing = [(r["scope"], r["features"]) for r in rows if "probed for each kind" in r["note"]]
    assert missing == [("all", "weights"), ("all", "stats_sane")]
    assert {row["features"] for row in rows if row["scope"] == "mlps/mlp"} >= {"weights"}


@pytest.mark.parametrize(
    ("columns", "wanted", "message"),
    [
        ({}, ["acuracy"], r"target acuracy: no checkpoint has it; there is: .*planted"),
        ({"same": np.ones(60)}, ["same"], r"target same: constant \(1\.0\)"),
        ({"lost": np.full(60, np.nan)}, ["lost"], "target lost: missing in all rows"),
        ({"lost": np.full(60, "")}, ["lost"], "target lost: missing in all rows"),
    ],
)
def test_targets_that_cannot_be_probed_are_named(zoo, columns, wanted, message):
    with pytest.raises(ValueError, match=message):
        targets_of(zoo.columns | columns, wanted)


def test_too_few_models_are_told_with_their_split(zoo):
    few = np.where(zoo.columns["split"] == "test", np.nan, zoo.columns["planted"])
    with pytest.raises(ValueError, match="planted: 0 models in the test split, 2 are needed"):
        probe(zoo.inputs(planted=few), PLAN, silent)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (PLAN._replace(features=["stats"]), r"features=\['stats'\]: choose from embedding"),
        (PLAN._replace(regressors=["net"]), r"regressors=\['net'\]: choose from linear, logit_"),
    ],
)
def test_unknown_features_and_regressors_are_refused(zoo, plan, message):
    with pytest.raises(ValueError, match=message):
        probe(zoo.inputs(), plan, silent)


def test_hyperparameters_stand_for_those_that_vary(zoo):
    more = {
        "optim::lr": np.arange(60.0),
        "optim::mu": np.ones(60),
        "weights::norm": np.arange(60.0),
    }
    names = [target.name for target in targets_of(zoo.columns | more, None)]
    assert names == ["epoch", "optim::lr"]


def test_intervals_are_drawn_over_models_not_checkpoints():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=20)
    guess = truth + rng.normal(size=20)
    names = np.arange(20).astype(str)
    alone = scored(r2, truth, guess, names, 0, 300)
    copies = scored(r2, *(np.repeat(v, 50) for v in (truth, guess, names)), 0, 300)
    assert (copies.low, copies.high) == pytest.approx((alone.low, alone.high))
    as_if_apart = scored(
        r2, np.repeat(truth, 50), np.repeat(guess, 50), np.arange(1000).astype(str), 0, 300
    )
    assert as_if_apart.high - as_if_apart.low < (alone.high - alone.low) / 3


def test_metrics_are_those_of_scikit_learn_and_scipy():
    truth, guess = np.array([1.0, 2, 2, 4]), np.array([1.0, 3, 2, 3])
    assert METRICS["regression"]["r2"](truth, guess) == pytest.approx(r2_score(truth, guess))
    assert r2_score(truth, guess) == pytest.approx(1 - 2 / 4.75)
    pairs = [(i, j) for i in range(4) for j in range(i)]
    signs = [(np.sign(truth[i] - truth[j]), np.sign(guess[i] - guess[j])) for i, j in pairs]
    tau = sum(a * b for a, b in signs) / np.sqrt(
        sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs)
    )
    assert kendall(truth, guess) == pytest.approx(tau)
    assert np.isnan(r2(np.ones(3), np.arange(3.0)))
    assert np.isnan(kendall(truth, np.ones(4)))
