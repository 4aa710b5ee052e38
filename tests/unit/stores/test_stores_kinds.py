"""Checkpoints of one network share a shelf, whatever file holds them; what was guessed is said."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from mzsane.architectures import Architecture
from mzsane.stores import TokenStore, write_store
from mzsane.stores.kinds import kind_of
from mzsane.zoos import ModelRecord, held, read_zoo

TOKENS = {"size": 0, "scheme": "channel", "batchnorm": "rows"}
FOREIGN = Architecture("somebody.Network", {}, (3, 16, 16), 10)


@pytest.fixture
def halves(tmp_path, architectures):
    """Four residual networks in files of two formats, of which one keeps no order."""
    folder = tmp_path / "halves"
    folder.mkdir()
    for seed in range(4):
        state = architectures["resnet"].build(seed).state_dict()
        if seed % 2:
            save_file(state, folder / f"model{seed}.safetensors")
        else:
            torch.save(state, folder / f"model{seed}.pt")
    return folder


@pytest.mark.parametrize("given", [True, False])
def test_a_zoo_in_two_formats_is_one_shelf(tmp_path, halves, architectures, given):
    architecture = architectures["resnet"] if given else None
    write_store(tmp_path / "a.h5", read_zoo(halves, architecture=architecture), name="a")
    (shelf,) = TokenStore.open(tmp_path / "a.h5").architectures
    network = architectures["resnet"].build(0)
    assert [name for name, _, _ in shelf.layout.shapes] == list(network.state_dict())
    assert list(shelf.models) == [f"model{seed}" for seed in range(4)]
    images = torch.rand(2, 3, 16, 16)
    for seed in range(4):
        network.load_state_dict(shelf.state(seed))
        stored = network.eval()(images)
        original = architectures["resnet"].build(seed).eval()(images)
        assert torch.allclose(stored, original, atol=1e-5)


@pytest.mark.parametrize("architecture", [None, FOREIGN])
def test_without_a_network_the_file_decides_the_order(architecture):
    state = {"b": torch.zeros(2), "a": torch.zeros(3)}
    kind, ordered = kind_of(
        ModelRecord("m", 0, held(state), architecture=architecture), state, TOKENS
    )
    assert (list(ordered), kind.architecture, kind.remark) == (["b", "a"], architecture, "")


def test_tensors_that_a_network_lacks_are_kept(architectures):
    state = architectures["mlp"].build(0).state_dict() | {"more": torch.ones(2)}
    record = ModelRecord("m", 0, held(state), architecture=architectures["mlp"])
    kind, ordered = kind_of(record, state, TOKENS)
    assert list(ordered) == list(state)
    assert "more" in kind.layout.offsets


def test_what_was_assumed_is_said_once_for_each_guess(tmp_path, zoo):
    told = [replace(r, architecture=None, properties={"model::nlin": "tanh"}) for r in zoo("cnn")]
    silent = [replace(r, architecture=None, properties={}) for r in zoo("cnn", 2, first=7)]
    report = write_store(tmp_path / "a.h5", [*told, *silent], name="a")
    assert report.remarks == (
        "cnn: recognised by its tensors; assumed images of 1 x 28 x 28",
        "cnn: recognised by its tensors; assumed nonlinearity=tanh, images of 1 x 28 x 28",
    )
    assert all(remark in str(report) for remark in report.remarks)
    assert len(TokenStore.open(tmp_path / "a.h5").architectures) == 1


def test_remarks_stay_when_a_store_grows(tmp_path, zoo):
    first = [replace(r, architecture=None, properties={}) for r in zoo("cnn", 2)]
    report = write_store(tmp_path / "a.h5", first, name="a")
    old = TokenStore.open(tmp_path / "a.h5")
    grown = write_store(tmp_path / "b.h5", zoo("cnn", 2, first=7), name="a", extend=old)
    assert grown.taken == 4
    assert grown.remarks == report.remarks != ()


def test_what_the_zoo_says_needs_no_remark(tmp_path, zoo):
    assert write_store(tmp_path / "a.h5", zoo("cnn", 1), name="a").remarks == ()
