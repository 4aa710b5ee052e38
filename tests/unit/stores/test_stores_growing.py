"""A store follows its zoo: what is new is appended, what is carried over stays as it was."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from mzsane.progress import silent
from mzsane.stores import Source, TokenStore, prepare, write_store
from mzsane.zoos import Skipped

TOKENS = {"size": 0, "scheme": "channel", "batchnorm": "rows"}


@dataclass
class Zoo:
    """A folder whose content a test can change; reading is as `read_zoo`'s."""

    members: list

    def __call__(self, epochs=None):
        if not self.members:
            raise FileNotFoundError("zoo: no checkpoints there")
        return (
            each
            for each in self.members
            if isinstance(each, Skipped) or epochs is None or each.epoch in epochs
        )


class Reader:
    """A reader with keywords, like a partial."""

    def __init__(self, zoo, **keywords):
        self.zoo, self.keywords = zoo, keywords

    def __call__(self):
        return self.zoo(**self.keywords)


@pytest.fixture
def zoo_of(tmp_path, stamped):
    records, loaded = stamped

    def make(*members):
        zoo = Zoo(list(members))
        return zoo, Source(tmp_path / "a.h5", Reader(zoo)), loaded

    return make, records


def rows(store):
    return {
        (str(model), int(epoch)): shelf.weights[row].tobytes()
        for shelf in store.architectures
        for row, (model, epoch) in enumerate(zip(shelf.models, shelf.epochs, strict=True))
    }


def test_an_unchanged_zoo_is_not_read_again(zoo_of):
    make, records = zoo_of
    _, source, loaded = make(*records("mlp", 3))
    prepare({"a": source}, TOKENS)
    made = source.store.stat().st_mtime_ns
    prepare({"a": source}, TOKENS)
    assert len(loaded) == 3
    assert source.store.stat().st_mtime_ns == made


def test_new_models_are_appended_and_aligned_to_the_reference_of_the_store(zoo_of):
    make, records = zoo_of
    zoo, source, loaded = make(*records("mlp", 3, first=4))
    before = prepare({"a": source}, TOKENS)["a"]
    frame, held_rows = before.architectures[0].frame, rows(before)
    loaded.clear()
    zoo.members = [*records("mlp", 4), *zoo.members]  # they come first by name
    after = prepare({"a": source}, TOKENS)["a"]
    assert sorted(loaded) == [(f"model_{index:03d}", 1) for index in range(4)]
    assert rows(after).items() > held_rows.items()
    assert after.architectures[0].frame == frame
    assert after.report.similarity_after > after.report.similarity_before
    assert len(after) == 7
    after.verify()


def test_appending_keeps_the_facts_of_every_row(zoo_of):
    make, records = zoo_of
    zoo, source, _ = make(*records("mlp", 2))
    before = prepare({"a": source}, TOKENS)["a"].architectures[0]
    before_weights = np.array(before.weights)
    zoo.members += list(records("mlp", 1, first=5))
    after = prepare({"a": source}, TOKENS)["a"].architectures[0]
    for name, column in before.properties.items():
        assert np.array_equal(after.properties[name][:2], column)
    for mine, theirs in zip(before.ledger, after.ledger, strict=True):
        assert np.array_equal(mine, theirs[:2])
    assert np.array_equal(before_weights, after.weights[:2])
    assert after.properties["test_acc"][2] == 0.5


def test_epochs_not_stored_yet_are_appended_and_others_kept(zoo_of):
    make, records = zoo_of
    zoo, source, loaded = make(*records("mlp", 3, (1, 2, 3)))
    prepare({"a": replace(source, reader=Reader(zoo, epochs=[1]))}, TOKENS)
    loaded.clear()
    store = prepare({"a": replace(source, reader=Reader(zoo, epochs=[2]))}, TOKENS)["a"]
    assert {epoch for _, epoch in loaded} == {2}
    assert set(store.architectures[0].epochs) == {1, 2}


@pytest.mark.parametrize("change", ["other weights", "vanished"])
def test_a_zoo_that_changed_is_stored_anew(zoo_of, change):
    make, records = zoo_of
    zoo, source, loaded = make(*records("mlp", 4))
    prepare({"a": source}, TOKENS)
    loaded.clear()
    zoo.members = zoo.members[:3]
    if change == "other weights":
        zoo.members += list(records("mlp", 1, first=3, stamp="2"))
    store = prepare({"a": source}, TOKENS)["a"]
    assert len(loaded) == len(store) == len(zoo.members)


def test_an_emptied_zoo_is_an_error_and_its_store_stays(zoo_of):
    make, records = zoo_of
    zoo, source, _ = make(*records("mlp", 2))
    prepare({"a": source}, TOKENS)
    zoo.members = []
    with pytest.raises(FileNotFoundError, match=r"zoo\.build=false takes .*a\.h5 as it is"):
        prepare({"a": source}, TOKENS)
    assert len(prepare({"a": source}, TOKENS, build=False)["a"]) == 2


def test_a_refused_checkpoint_is_not_read_again_and_stays_in_the_report(zoo_of):
    make, records = zoo_of
    good, bad = records("mlp", 2)
    next(iter(bad.load.record.load().values()))[0] = torch.nan
    zoo, source, loaded = make(good, bad, Skipped("trial_9", "no checkpoint"))
    prepare({"a": source}, TOKENS)
    loaded.clear()
    prepare({"a": source}, TOKENS)
    zoo.members += list(records("mlp", 1, first=5))
    store = prepare({"a": source}, TOKENS)["a"]
    assert loaded == [("model_005", 1)]
    assert [each.path for each in store.report.skipped] == ["trial_9", "model_001 epoch 1"]


def test_a_missing_zoo_is_fetched_only_if_that_is_allowed(zoo_of):
    make, records = zoo_of
    zoo, source, _ = make()
    fetched = []

    class Fetching:
        def fetch(self, progress=silent):
            fetched.append("zoo")
            zoo.members = list(records("mlp", 2))

    source = replace(source, download=Fetching())
    with pytest.raises(FileNotFoundError, match=r"mzsane\.download zoo=a.*zoo\.download=true"):
        prepare({"a": source}, TOKENS)
    assert len(prepare({"a": source}, TOKENS, download=True)["a"]) == 2
    zoo.members = []  # removed once it is stored
    assert len(prepare({"a": source}, TOKENS, download=True)["a"]) == 2
    assert fetched == ["zoo"]


def test_networks_of_other_nonlinearity_share_one_reference(tmp_path, zoo, architectures):
    relu = replace(architectures["mlp"], arguments={"width": [6, 5], "nonlinearity": "relu"})
    records = [*zoo("mlp", 2), *(replace(r, architecture=relu) for r in zoo("mlp", 2, first=2))]
    write_store(tmp_path / "a.h5", records, name="a")
    store = TokenStore.open(tmp_path / "a.h5")
    first, second = store.architectures
    assert first.frame == second.frame != ""
    assert (first.reference is None) != (second.reference is None)
    assert set(store.references()) == {architectures["mlp"].fingerprint, relu.fingerprint}
    more = [*records, *(replace(r, architecture=relu) for r in zoo("mlp", 1, first=7))]
    write_store(tmp_path / "a.h5", more, name="a", extend=store)
    assert {shelf.frame for shelf in TokenStore.open(tmp_path / "a.h5").architectures} == {
        first.frame
    }


def test_a_network_of_the_field_is_recognised_and_traced(tmp_path, zoo):
    unnamed = [
        replace(r, architecture=None, properties={"model::nlin": "relu"}) for r in zoo("cnn", 2)
    ]
    write_store(tmp_path / "a.h5", unnamed, name="a")
    (shelf,) = TokenStore.open(tmp_path / "a.h5").architectures
    assert shelf.architecture.target == "mzsane.architectures.CNN"
    assert shelf.architecture.arguments["nonlinearity"] == "relu"
    assert shelf.symmetry.groups


def test_shapes_that_differ_are_shelved_apart_and_said(tmp_path, zoo):
    report = write_store(tmp_path / "a.h5", [*zoo("mlp", 2), *zoo("cnn", 1, first=5)], name="a")
    assert report.architectures == (
        "mlp: 2 checkpoints of 155 weights",
        "cnn: 1 checkpoints of 2464 weights",
    )
    assert all(line in str(report) for line in report.architectures)


def test_weights_are_measured(tmp_path, zoo):
    (record,) = zoo("mlp", 1)
    flat = torch.cat([value.reshape(-1) for value in record.load().values()]).double()
    write_store(tmp_path / "a.h5", [record], name="a", dtype="float16")
    (shelf,) = TokenStore.open(tmp_path / "a.h5").architectures
    assert shelf.properties["weights::max_abs"][0] == float(flat.abs().max())
    assert shelf.properties["weights::norm"][0] == pytest.approx(float(flat.norm()), rel=1e-12)
    relative = (flat - flat.half().double()).norm() / flat.norm()
    assert shelf.ledger.rounding[0, 1] == pytest.approx(float(relative), rel=1e-9)


def test_the_hash_covers_properties_too(tmp_path, zoo):
    for name, accuracy in (("a", 0.1), ("b", 0.2)):
        records = [replace(r, properties={"test_acc": accuracy}) for r in zoo("mlp", 1)]
        write_store(tmp_path / f"{name}.h5", records, name="a")
    a, b = (TokenStore.open(tmp_path / f"{name}.h5") for name in "ab")
    assert a.content_hash != b.content_hash


def test_filtered_rows_are_never_selected(tmp_path, zoo):
    write_store(tmp_path / "a.h5", [*zoo("mlp", 8, (1, 2)), *zoo("cnn", 2, first=9)], name="a")
    store = TokenStore.open(tmp_path / "a.h5")
    view = store.filtered({"good": lambda columns: columns["test_acc"] >= 0.4})
    models = [
        set(shelf.models[rows])
        for shelf, rows in zip(view.architectures, view.select(), strict=True)
    ]
    assert models == [{f"model_{index:03d}" for index in range(4, 8)}, {"model_009", "model_010"}]
    late = view.filtered({"late": lambda columns: columns["epoch"] == 2})
    assert sum(map(len, late.select())) == 4
    assert late.left_out[0].startswith("good: 8 of 18 left out")
    with pytest.raises(ValueError, match="num_models=7 asked for, 6"):
        view.select(num_models=7)
    with pytest.raises(ValueError, match="a: filter 'none' leaves nothing"):
        store.filtered({"none": lambda columns: columns["epoch"] > 9})
    assert sum(map(len, store.select())) == 18


def test_a_folder_has_a_store_of_its_own(tmp_path):
    for parent in ("x", "y"):
        (tmp_path / parent / "zoo").mkdir(parents=True)
    x, y = (Source.of_folder(tmp_path / p / "zoo", tmp_path, epochs=[3]) for p in ("x", "y"))
    assert x.store != y.store
    assert x.store.name.startswith("zoo-")
    assert Source.of_folder(tmp_path / "x" / ".." / "x" / "zoo", tmp_path).store == x.store
    assert x.settings["epochs"] == [3]


def test_what_filters_leave_out_is_in_the_report(tmp_path, zoo):
    write_store(tmp_path / "a.h5", zoo("mlp", 8), name="a")
    store = TokenStore.open(tmp_path / "a.h5")
    view = store.filtered({"good": lambda columns: columns["test_acc"] >= 0.4})
    assert store.report.left_out == ()
    assert "filter good: 4 of 8 left out" in str(view.report)
