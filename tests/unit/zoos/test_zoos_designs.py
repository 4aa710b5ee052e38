"""Hyper-parameters of models: every combination, or drawn by name."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzsane.architectures import Architecture
from mzsane.images import ImageSet
from mzsane.populations import Recipe
from mzsane.zoos import Builder
from mzsane.zoos.building.designs import Range, drawn, factors, grid
from mzsane.zoos.building.training import params, recorded

CNN = Architecture("mzsane.architectures.CNN", {"nonlinearity": "gelu"}, (1, 28, 28), 10)


def nothing() -> ImageSet:
    raise AssertionError("images were loaded to plan a zoo")


def builder(num_models=2, **changes):
    settings = Builder("zoo", nothing, CNN, num_models, Recipe(epochs=2), [2], seed=1)
    return replace(settings, **changes)


def planned(settings):
    return [
        (trial.architecture.arguments["nonlinearity"], trial.recipe.lr, trial.model_seed)
        for trial in settings.trials
    ]


VARY = {"nonlinearity": ["tanh", "relu"], "lr": [0.1, 0.01, 0.001], "dropout": None}


def test_a_grid_has_every_combination_as_often_as_there_are_to_be_models():
    trials = planned(builder(vary=VARY))
    assert len(trials) == 12
    for name in VARY["nonlinearity"]:
        for lr in VARY["lr"]:
            assert sum(trial[:2] == (name, lr) for trial in trials) == 2
    assert len({seed for *_, seed in trials}) == 12


def test_shared_seeds_are_those_of_the_repetition():
    trials = planned(builder(vary=VARY, seeds="shared"))
    assert [seed for *_, seed in trials] == [trials[0][2]] * 6 + [trials[6][2]] * 6
    assert trials[0][2] != trials[6][2]


@pytest.mark.parametrize("design", ["grid", "random"])
@pytest.mark.parametrize("seeds", ["fresh", "shared"])
def test_a_larger_zoo_begins_with_the_smaller_one(design, seeds):
    small, large = (
        planned(builder(models, vary=VARY, design=design, seeds=seeds)) for models in (2, 5)
    )
    assert small == large[: len(small)]
    assert len(small) < len(large)


def test_what_is_left_as_it_is_need_not_exist():
    """One list of names serves networks without nonlinearities to choose, too."""
    resnet = Architecture("mzsane.architectures.ResNet18", {"width": 2}, (1, 28, 28), 10)
    vary = {"nonlinearity": None, "dropout": None, "lr": [0.1, 0.01]}
    assert len(builder(architecture=resnet, vary=vary).trials) == 4
    with pytest.raises(ValueError, match=r"vary\.dropout: there is no such setting"):
        builder(architecture=resnet, vary=vary | {"dropout": [0.1]})


def test_the_order_in_which_settings_are_written_numbers_no_model():
    assert planned(builder(vary=VARY)) == planned(builder(vary=dict(reversed(VARY.items()))))


def test_what_is_drawn_of_one_setting_does_not_depend_on_the_others():
    one = planned(builder(20, vary={"lr": [0.1, 0.01, 0.001]}, design="random"))
    two = planned(builder(20, vary=VARY, design="random"))
    assert [lr for _, lr, _ in one] == [lr for _, lr, _ in two]
    assert len({(name, lr) for name, lr, _ in two}) == 6, "settings are drawn together"
    other = planned(builder(20, vary=VARY, design="random", seed=2))
    assert [lr for _, lr, _ in other] != [lr for _, lr, _ in two]


@given(st.floats(1e-8, 1e3), st.floats(1.01, 1e6), st.sampled_from(["log", "linear"]))
def test_draws_stay_in_their_range(low, factor, scale):
    of = {"lr": Range(low, low * factor, scale)}
    for values, _ in drawn(of, 20, [0]):
        assert low * (1 - 1e-9) <= values["lr"] <= low * factor * (1 + 1e-9)


def test_a_logarithmic_range_gives_every_decade_its_share():
    of = factors({"lr": {"low": 1e-4, "high": 1e-1}}, CNN, "random")
    rates = [values["lr"] for values, _ in drawn(of, 600, [0])]
    for decade in (1e-4, 1e-3, 1e-2):
        assert 150 < sum(decade <= rate < 10 * decade for rate in rates) < 250


def test_a_grid_without_factors_is_the_models_alone():
    assert list(grid({}, 3)) == [({}, 0), ({}, 1), ({}, 2)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"vary": {"lrr": [1]}},
            r"vary.lrr: there is no such setting; vary optimizer.*nonl",
        ),
        ({"vary": {"classes": [3]}}, r"vary.classes: there is no such setting"),
        ({"vary": {"lr": {"low": 1e-4, "high": 1e-2}}}, r"vary.lr: a grid needs a list.*random"),
        ({"vary": {"lr": {"low": 0, "high": 1}}, "design": "random"}, "vary.lr: .*more than 0"),
        ({"vary": {"lr": {"lo": 1, "high": 2}}, "design": "random"}, "vary.lr: give low, high"),
        (
            {"vary": {"batch_size": {"low": 1, "high": 9}}, "design": "random"},
            "vary.batch_size: give a list",
        ),
        ({"vary": {"batch_size": [8, 8.5]}}, r"vary.batch_size: 8.5 is no int"),
        ({"vary": {"lr": ["quick"]}}, r"vary.lr: 'quick' is no float"),
        ({"vary": {"optimizer": "adam"}}, r"vary.optimizer='adam': give a list"),
        ({"vary": {"lr": []}}, r"vary.lr=\[\]: give a list"),
        ({"vary": {"optimizer": ["rmsprop"]}}, "recipe.optimizer=rmsprop: choose one of adam"),
        ({"vary": {"epochs": [1, 2]}}, "epochs 0 to 1"),
        ({"measure_every": 0}, "measure_every=0: take 1 or more"),
    ],
)
def test_what_cannot_vary_is_refused_before_anything_is_read(changes, message):
    with pytest.raises(ValueError, match=message):
        builder(**changes)


def test_settings_of_a_plain_zoo_do_not_mention_what_varies():
    """So that zoos of before there was variation go on."""
    assert {k for k, v in builder().settings.items() if v in (None, {})} >= {
        "vary", "design", "seeds",
    }  # fmt: skip
    varied = builder(vary={"lr": {"low": 1e-3, "high": 1e-2}}, design="random").settings
    assert json.loads(json.dumps(varied))["vary"] == {
        "lr": {"low": 1e-3, "high": 1e-2, "scale": "log"}
    }


def test_hyper_parameters_have_their_published_names():
    (trial,) = builder(1, vary={"initialisation": ["normal"], "weight_decay": [0.5]}).trials
    told = params(trial)
    expected = {
        "model::type": "CNN", "model::nlin": "gelu", "model::init_type": "normal",
        "model::dropout": 0.0, "model::channels_in": 1, "model::o_dim": 10,
        "optim::optimizer": "adam", "optim::lr": 1e-3, "optim::wd": 0.5, "optim::momentum": 0.9,
        "training::batchsize": 50, "training::epochs_train": 2, "dataset::name": "nothing",
        "seed": trial.model_seed,
    }  # fmt: skip
    assert expected.items() <= told.items()


def test_how_weights_began_is_no_part_of_the_recorded_architecture():
    began = replace(CNN, arguments={**CNN.arguments, "initialisation": "normal"})
    assert recorded(began) == CNN
