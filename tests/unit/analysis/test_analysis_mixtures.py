"""What is known of a zoo of several architectures and image sets, and what columns mean in it."""

import numpy as np
import pytest
import torch

from mzsane.analysis import Inputs, Plan, columns_of, embed, joined, probe
from mzsane.analysis.features import below, features_of
from mzsane.analysis.statistics import RECIPES, statistic_names
from mzsane.analysis.targets import targets_of
from mzsane.architectures import Architecture
from mzsane.progress import silent
from mzsane.tokens import Layout

PLAN = Plan(["dataset", "architecture"], ["embedding", "weights", "stats_nfn"], ["linear"], 0, 0)


@pytest.fixture(scope="module")
def inputs(mixture, small_sane):
    with torch.no_grad():
        embedding = [embed(small_sane(), part, 16, 2).model.numpy() for part in mixture]
    return Inputs(mixture, joined(list(map(columns_of, mixture))), np.concatenate(embedding))


def test_image_set_and_architecture_are_told_from_embeddings_of_all_networks(inputs):
    rows = probe(inputs, PLAN, silent)
    found = {
        (row["target"], row["features"]): row["value"]
        for row in rows
        if row["scope"] == "all" and row["metric"] == "accuracy"
    }
    for target in ("dataset::name", "architecture"):
        assert found[target, "embedding"] > 0.8 > found[target, "none"]


def test_features_whose_columns_differ_between_networks_are_named_and_not_stacked(inputs):
    noted = {
        (row["scope"], row["target"], row["features"])
        for row in probe(inputs, PLAN, silent)
        if "columns mean other things" in row["note"]
    }
    assert noted == {
        ("all", target, features)
        for target in ("dataset::name", "architecture")
        for features in ("weights", "stats_nfn")
    }


def test_what_does_not_vary_in_one_kind_of_network_is_said(inputs):
    rows = probe(inputs, PLAN, silent)
    notes = {(r["scope"], r["target"]): r["note"] for r in rows if r["scope"] != "all"}
    assert set(notes) == {
        (scope, target)
        for scope in ("cnns/cnn", "mlps/mlp", "shifted/mlp")
        for target in ("dataset::name", "architecture")
    }
    assert all(note.startswith("constant (") for note in notes.values())


def test_equally_many_columns_are_not_the_same_columns(mixture):
    cnn, mlp, other = (features_of("stats_nfn", part, np.empty((0, 1))) for part in mixture)
    assert cnn.columns == mlp.columns
    assert below([cnn, mlp]) is None
    assert below([mlp, other]).values().shape == (80, mlp.columns)


def names(which, recipe="stats_nfn", **settings):
    network = Architecture(f"mzsane.architectures.{which}", settings, (1, 28, 28), 10)
    return statistic_names(Layout.of(network.build(0).state_dict()), RECIPES[recipe])


@pytest.mark.parametrize("recipe", RECIPES)
def test_columns_are_known_by_place_and_kind_not_by_module_or_width(recipe):
    plain = names("CNN", recipe)
    assert plain == names("CNN", recipe, dropout=0.5)  # which shifts the names of its modules
    assert plain == names("CNN", recipe, width=[4, 4, 4])
    assert plain != names("MLP", recipe, width=[6, 6, 6, 6])
    assert len(plain) == len(names("MLP", recipe, width=[6, 6, 6, 6])) == len(set(plain))


def test_columns_of_statistics_are_named_in_their_order():
    assert names("CNN")[1] == "0 weight 4-d: variance"
    assert names("CNN")[6] == "0 weight 4-d: percentile 100"
    assert names("CNN")[7] == "1 bias 1-d: mean"
    assert names("CNN", "stats_sane")[1] == "0 weight 4-d + bias 1-d: variance"


def test_sources_that_do_not_tell_are_counted_and_named(inputs):
    silenced = np.where(inputs.columns["source"] == "cnns", "", inputs.columns["dataset::name"])
    silenced[inputs.columns["row"] == 3] = ""
    columns = inputs.columns | {"dataset::name": silenced}
    rows = probe(inputs._replace(columns=columns), PLAN._replace(targets=["dataset"]), silent)
    (note,) = {row["note"] for row in rows if "do not tell" in row["note"]}
    assert note == "42 of 120 checkpoints do not tell it and are left out, among them all of cnns"
    assert sum("do not tell" in row["note"] for row in rows) == 1
    splits = ("train", "validation", "test")
    counted = {sum(row[f"{one}_checkpoints"] for one in splits) for row in rows if row["metric"]}
    assert counted == {78}


def test_an_image_set_that_is_the_same_everywhere_is_refused_by_name(inputs):
    columns = inputs.columns | {"dataset::name": np.full(120, "digits")}
    with pytest.raises(ValueError, match=r"target dataset::name: constant \(digits\)"):
        targets_of(columns, ["dataset", "epoch"])
