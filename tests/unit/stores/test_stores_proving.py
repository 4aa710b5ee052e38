"""Groups given by hand replace tracing where they fit; wrong ones are refused, and all is said."""

from dataclasses import replace

import pytest
from torch import nn

from mzsane.architectures import Architecture
from mzsane.stores import Source, TokenStore, prepare, write_store
from mzsane.zoos import ModelRecord, held

HIDDEN = {
    "first": ["module_list.0.weight:0", "module_list.0.bias:0", "module_list.2.weight:1"],
    "second": ["module_list.2.weight:0", "module_list.2.bias:0", "module_list.4.weight:1"],
}
TORN = {"torn": ["module_list.0.weight:0", "module_list.2.weight:1"]}  # a bias stays behind
TOKENS = {"size": 0, "scheme": "channel", "batchnorm": "rows"}


def unnamed(records):
    """Of networks that nobody can build."""
    for record in records:
        state = {f"mine.{name}": value for name, value in record.load().items()}
        yield replace(record, architecture=None, load=held(state))


def mine(groups):
    return {name: [f"mine.{place}" for place in places] for name, places in groups.items()}


class Reluctant(nn.Module):
    """Can be built, but not run on images."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 4)

    def forward(self, _):
        raise KeyError("tokens")


class Broken(nn.Module):
    def __init__(self):
        raise RuntimeError("no such device")


def stored(path, records, symmetry):
    report = write_store(path, records, name="a", symmetry=symmetry)
    return report, TokenStore.open(path).architectures


def test_groups_of_an_unknown_network_align_it(tmp_path, zoo):
    report, (shelf,) = stored(tmp_path / "a.h5", unnamed(zoo("mlp", 6)), mine(HIDDEN))
    assert [group.name for group in shelf.symmetry.groups] == ["first", "second"]
    assert report.similarity_after > report.similarity_before + 0.05
    assert report.remarks == (
        "unknown: 2 groups given by hand, not proven: the zoo does not say how to build these "
        "models",
    )
    _, (traced,) = stored(tmp_path / "b.h5", zoo("mlp", 6), None)
    assert traced.weights.tobytes() == shelf.weights.tobytes()


def test_groups_of_a_known_network_are_proven(tmp_path, zoo):
    report, (shelf,) = stored(tmp_path / "a.h5", zoo("mlp", 2), {"first": HIDDEN["first"]})
    assert len(shelf.symmetry.groups) == 1
    assert report.remarks == ("mlp: 1 groups given by hand, proven on the network",)


def test_groups_that_change_the_function_are_refused(tmp_path, zoo):
    with pytest.raises(ValueError, match=r"symmetry group torn of MLP: .*changes the outputs"):
        stored(tmp_path / "a.h5", zoo("mlp", 2), TORN)
    assert list(tmp_path.iterdir()) == []


def test_groups_that_fit_no_model_are_refused(tmp_path, zoo):
    with pytest.raises(ValueError, match=r"symmetry group hidden: the models have no tensor 'fc1"):
        stored(tmp_path / "a.h5", zoo("mlp", 2), {"hidden": ["fc1.weight:0"]})


def test_models_whom_groups_do_not_fit_are_traced_and_that_is_said(tmp_path, zoo):
    records = [*unnamed(zoo("mlp", 2)), *zoo("cnn", 1, first=5)]
    report, shelves = stored(tmp_path / "a.h5", records, mine(HIDDEN))
    assert [len(shelf.symmetry.groups) for shelf in shelves] == [2, 4]
    assert "cnn: the groups given by hand do not fit" in report.remarks[1]


@pytest.mark.parametrize(("network", "said"), [(Reluctant, "tokens"), (Broken, "no such device")])
def test_networks_that_cannot_be_built_or_run_prove_nothing(tmp_path, network, said):
    target = f"{__name__}.{network.__name__}"
    architecture = Architecture(target, {}, (1, 1, 3), 4, trusted=True)
    state = nn.Linear(3, 4).state_dict()
    state = {f"inner.{name}": value for name, value in state.items()}
    record = ModelRecord("m", 0, held(state), architecture=architecture)
    groups = {"out": ["inner.weight:0", "inner.bias:0"]}
    report, (shelf,) = stored(tmp_path / "a.h5", [record], groups)
    assert "not proven: " in report.remarks[0]
    assert said in report.remarks[0]
    assert shelf.symmetry.groups
    untraced, (shelf,) = stored(tmp_path / "b.h5", [record], None)
    assert shelf.symmetry is None
    assert said in untraced.untraced[0]


def test_a_source_stores_anew_when_its_groups_change(tmp_path, zoo):
    def source(symmetry):
        return Source(tmp_path / "a.h5", lambda: unnamed(zoo("mlp", 3)), symmetry=symmetry)

    stores = [
        prepare({"a": source(symmetry)}, TOKENS)["a"]
        for symmetry in (None, mine(HIDDEN), mine(HIDDEN))
    ]
    assert stores[0].architectures[0].symmetry is None
    assert "give zoo.architecture" in stores[0].report.untraced[0]
    assert len(stores[1].architectures[0].symmetry.groups) == 2
    assert stores[1].provenance["date"] == stores[2].provenance["date"]


@pytest.mark.parametrize("symmetry", [{"hidden": "fc1"}, {"hidden": ["fc1"]}, {"hidden": []}])
def test_groups_that_are_none_are_refused_before_anything_is_read(tmp_path, symmetry):
    with pytest.raises(ValueError, match="symmetry"):
        Source.of_folder(tmp_path, tmp_path, symmetry=symmetry)
