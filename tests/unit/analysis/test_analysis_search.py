"""Neighbours, copies and lineages are found where they are planted."""

import numpy as np
import pytest
import torch

from mzsane.analysis import (
    Encoder,
    all_distances,
    by_embedding,
    by_weights,
    chosen,
    columns_of,
    copies,
    embed,
    guess_lineage,
    joined,
    kin_of,
    loose_query,
    matched_distances,
    norms,
    quality,
    stored_query,
)
from mzsane.analysis.copies import typical_spacing
from mzsane.analysis.kin import least_distances, relative
from mzsane.progress import silent
from mzsane.stores import TokenStore, write_store
from mzsane.zoos import ModelRecord, held


@pytest.fixture(scope="module")
def kin(parts):
    return kin_of(parts)[0]


@pytest.fixture(scope="module")
def names(kin):
    return np.concatenate([part.shelf.models[part.rows].astype(str) for part in kin.parts])


def permuted(shelf, state, seed=3):
    rng = np.random.default_rng(seed)
    return shelf.symmetry.apply(state, shelf.symmetry.random(rng))


@pytest.fixture(scope="module")
def doubled(stores, tmp_path_factory):
    """A zoo with an identical copy, a near copy, a permuted copy, and models of their own."""
    shelf = stores["cnns"].architectures[0]
    states = {f"own{n}": shelf.state(3 * n) for n in range(8)}
    near = {name: t * 1.001 if t.is_floating_point() else t for name, t in states["own1"].items()}
    states |= {"same": states["own0"], "near": near, "moved": permuted(shelf, states["own2"])}
    path = tmp_path_factory.mktemp("doubled") / "doubled.h5"
    records = (
        ModelRecord(name, 1, held(state), {}, shelf.architecture) for name, state in states.items()
    )
    write_store(path, records, name="doubled", size=20, align=False)
    return chosen({"doubled": TokenStore.open(path)})


def test_distances_equal_a_loop(kin):
    found = all_distances(kin)
    for a, b in ((0, 1), (5, 40), (7, 7)):
        x, y = (
            np.concatenate([kin.vector(row)[span] for span in kin.spans]).astype(float)
            for row in (a, b)
        )
        expected = np.linalg.norm(x - y) / np.sqrt(x @ x + y @ y)
        assert found[a, b] == pytest.approx(expected, abs=1e-7)
        assert relative(kin.vector(a), kin.vector(b), kin.spans) == pytest.approx(expected)
    np.testing.assert_allclose(norms(kin)[3], np.linalg.norm(kin.vector(3)), rtol=1e-6)


def test_distances_do_not_depend_on_how_much_is_read_at_once(kin, monkeypatch):
    whole = all_distances(kin)
    monkeypatch.setattr("mzsane.analysis.kin.READ", 1000)
    np.testing.assert_allclose(all_distances(kin), whole, atol=1e-7)


def test_too_many_pairs_are_refused(kin, monkeypatch):
    monkeypatch.setattr("mzsane.analysis.kin.MOST", 10)
    with pytest.raises(ValueError, match="60 checkpoints of one kind: pairs of 10 at most"):
        all_distances(kin)


def test_kinds_of_networks_are_kept_apart(parts):
    places = [kin.places for kin in kin_of(parts)]
    np.testing.assert_array_equal(np.concatenate(places), np.arange(60 + 36))
    assert [len(each) for each in places] == [60, 36]


def test_the_bound_is_below_every_distance_and_zero_for_permuted_copies(kin):
    shelf, vector = kin.shelf(0), kin.vector(0)
    moved = permuted(shelf, shelf.state(0))
    bound = least_distances([vector, shelf.layout.flatten(moved).numpy()], kin)
    assert (bound[0] <= all_distances(kin)[0] + 1e-6).all()
    assert bound[1, 0] < 1e-6 < bound[1, 1]


def test_neighbours_by_embedding_are_those_of_a_loop():
    rows = np.random.default_rng(0).normal(size=(20, 4))
    found = by_embedding(rows[3], rows, 5, "euclidean", without=3)
    expected = sorted((np.linalg.norm(row - rows[3]), n) for n, row in enumerate(rows) if n != 3)
    assert [one.place for one in found] == [n for _, n in expected[:5]]
    cosine = by_embedding(rows[3], rows, 3, "cosine")
    assert cosine[0].place == 3
    assert cosine[0].distance == pytest.approx(0)
    a, b = rows[cosine[1].place] - rows.mean(0), rows[3] - rows.mean(0)
    angle = 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert cosine[1].distance == pytest.approx(angle)
    with pytest.raises(ValueError, match="metric=l1: choose from cosine, euclidean"):
        by_embedding(rows[3], rows, 5, "l1")


def test_a_permuted_model_finds_itself_by_weights(kin):
    shelf = kin.shelf(31)
    moved = shelf.layout.flatten(permuted(shelf, shelf.state(31))).numpy()
    found = by_weights(moved, kin, 3)
    assert found[0].place == 31
    assert found[0].distance < 1e-6 < 0.1 < found[0].stored
    assert by_weights(moved, kin, 1, tried=0)[0].distance > 0.1
    assert all(one.place != 31 for one in by_weights(moved, kin, 60, without=31))


def test_planted_copies_are_found_and_nothing_else(doubled):
    (kin,) = kin_of(doubled)
    models = doubled[0].shelf.models.astype(str)
    stored = all_distances(kin)
    distances = matched_distances(kin, stored, models, 1, silent)
    found = {
        (models[one.place], models[one.other]): one.kind
        for one in copies(kin, stored, distances, models, 0.1)
    }
    assert found == {
        ("own0", "same"): "identical",
        ("near", "own1"): "near",
        ("moved", "own2"): "permuted",
    }


def test_copies_are_found_in_a_zoo_that_is_mostly_duplicates(kin):
    kin = kin._replace(
        parts=(kin.parts[0]._replace(rows=kin.parts[0].rows[:6]),), places=np.arange(6)
    )
    models = np.array(list("abcdef"))
    stored = np.full((6, 6), 0.8)
    stored[:5, :5] = 0.0  # five identical ones, and one that is near the last of them when matched
    np.fill_diagonal(stored, 0.0)
    assert typical_spacing(stored, models) == pytest.approx(0.8)
    matched = stored.copy()
    matched[4, 5] = matched[5, 4] = 0.05
    found = {(one.place, one.other): one.kind for one in copies(kin, stored, matched, models, 0.1)}
    assert found[4, 5] == "near permuted"
    assert len(found) == 11
    everything = copies(kin, np.zeros((6, 6)), np.zeros((6, 6)), models, 0.1)
    assert {one.kind for one in everything} == {"identical"}
    assert len(everything) == 15


def test_epochs_of_one_model_are_no_near_copies(kin, names):
    distances = all_distances(kin)
    assert typical_spacing(distances, names) > 0.5
    assert copies(kin, distances, distances, names, 0.5) == []


def test_matching_brings_pairs_nearer_and_never_farther(kin, names):
    stored = all_distances(kin)
    found = matched_distances(kin, stored, names, 2, silent)
    np.testing.assert_array_equal(found, found.T)
    assert (found <= stored).all()
    assert (found < stored - 0.1).any()
    np.testing.assert_array_equal(matched_distances(kin, stored, names, 0, silent), stored)


def test_the_typical_spacing_of_a_single_model_is_unknown():
    assert np.isnan(typical_spacing(np.zeros((2, 2)), np.array(["a", "a"])))


def test_trajectories_are_found_in_order(kin, names):
    epochs = np.concatenate([part.shelf.epochs[part.rows] for part in kin.parts])
    distances = matched_distances(kin, all_distances(kin), names, 2, silent)
    guess = guess_lineage(distances, norms(kin), 0.6)
    found = quality(guess, names, epochs)
    assert found.precision == found.recall == found.neighbours == 1
    assert len(set(guess.trajectory.tolist())) == 20


def test_the_longer_step_is_the_earlier_one_and_a_branch_is_not_monotone():
    places = np.array([0.0, 3.0, 1.0])  # of a path that slows down: 3, 1, 0
    line = np.abs(places[:, None] - places[None, :]) / 10
    guess = guess_lineage(line, np.ones(3), 0.9)
    assert guess.step.tolist() == [2, 0, 1]
    assert guess.parent.tolist() == [2, -1, 1]
    assert guess.monotone.all()
    corners = np.array([[0, 0], [0.9, 1], [1, 0.1], [2, 0]])
    branch = np.linalg.norm(corners[:, None] - corners[None], axis=2) / 10
    assert not guess_lineage(branch, np.ones(4), 0.9).monotone.any()


def test_of_two_checkpoints_the_smaller_is_the_earlier_one():
    near = np.array([[0, 0.2], [0.2, 0]])
    assert guess_lineage(near, np.array([2.0, 1.0]), 0.5).parent.tolist() == [1, -1]
    assert guess_lineage(near, np.array([2.0, 1.0]), 0.1).parent.tolist() == [-1, -1]


def test_quality_counts_what_a_wrong_guess_gets_wrong():
    names, epochs = np.array(["a", "a", "b"]), np.array([1, 2, 1])
    line = np.array([[0, 0.9, 0.9], [0.9, 0, 0.1], [0.9, 0.1, 0]])
    found = quality(guess_lineage(line, np.array([1.0, 2.0, 3.0]), 0.5), names, epochs)
    assert found == (0.0, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def zoo(parts, small_sane):
    encoder = Encoder.of(small_sane(), "abc")
    vectors = [embed(encoder.model, part, encoder.window, encoder.halo).model for part in parts]
    return encoder, joined([columns_of(part) for part in parts]), torch.cat(vectors).numpy()


def test_a_stored_query_is_found_by_name(parts, zoo):
    _, columns, embedding = zoo
    query = stored_query("cnns:model002@2", columns, embedding, kin_of(parts))
    assert query.place == 7
    np.testing.assert_array_equal(query.vector, parts[0].shelf.weights[7])
    last = stored_query("model015", columns, embedding, kin_of(parts))
    assert columns["epoch"][last.place] == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model002@2", r"several sources have it; say which, cnns or mlps \(query=cnns:model002@2"),
        ("cnns:model02@2", "neither a file nor a checkpoint of the zoo; did you mean .*model002@2"),
        ("cnns:model002@9", "neither a file nor a checkpoint"),
        ("nowhere.pt", "neither a file nor a checkpoint of the zoo; there is, for example,"),
    ],
)
def test_a_query_that_is_not_there_is_told_with_what_is(parts, zoo, name, message):
    with pytest.raises(ValueError, match=message):
        stored_query(name, zoo[1], zoo[2], kin_of(parts))


def test_a_loose_query_is_brought_into_canonical_form(parts, zoo):
    encoder, _, embedding = zoo
    shelf = parts[0].shelf
    row = shelf.reference
    moved = permuted(shelf, shelf.state(row))
    query = loose_query("mine.pt", moved, shelf.layout, encoder, kin_of(parts))
    np.testing.assert_allclose(query.vector, shelf.weights[row], atol=1e-6)
    np.testing.assert_allclose(query.embedding, embedding[row], rtol=1e-3, atol=1e-5)
    assert query.place is None


def test_a_query_of_an_unknown_network_has_an_embedding_only(parts, zoo):
    layout = parts[0].shelf.layout
    state = parts[0].shelf.state(0)
    query = loose_query("mine.pt", state, layout, zoo[0], kin_of(parts)[1:])
    assert query.vector is None
    assert query.embedding.shape == (5,)
    state["module_list.0.weight"][0] = float("nan")
    with pytest.raises(ValueError, match=r"mine\.pt: has weights that are NaN"):
        loose_query("mine.pt", state, layout, zoo[0], kin_of(parts))
