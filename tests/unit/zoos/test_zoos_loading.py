"""Weights come out of any file unchanged, and nothing else does."""

import argparse
import os
from collections import OrderedDict
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mzsane.architectures import Architecture
from mzsane.zoos import load_weights, recognise
from mzsane.zoos.reading.loading import WRAPPERS
from mzsane.zoos.reading.variational import fold_spreads

STATE = OrderedDict({"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.ones(2)})


def prefixed(prefix, state=STATE):
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def loaded(folder, document, **arguments):
    torch.save(document, folder / "file")
    return load_weights(folder / "file", **arguments)


def assert_same(found, expected=STATE):
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


DOCUMENTS = {
    "plain": STATE,
    "parameters": {name: nn.Parameter(tensor) for name, tensor in STATE.items()},
    **{wrapper: {wrapper: STATE, "optimizer": {"state": {}}} for wrapper in WRAPPERS},
    "wrapped twice": {"state_dict": {"model": STATE, "ema": STATE}, "epoch": 3},
    "wrapper that is empty": {"model": None, "net": STATE},
    "parallel": prefixed("module."),
    "compiled": prefixed("_orig_mod."),
    "parallel and compiled": {"model_state_dict": prefixed("module._orig_mod.")},
    "compiled and parallel": prefixed("_orig_mod.module."),
    "notes between tensors": {"epoch": 3, **STATE, "best": 0.9, "name": "a", "seed": None},
}


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("recent", [True, False], ids=["zip", "legacy"])
def test_weights_are_found_in(tmp_path, document, recent):
    torch.save(DOCUMENTS[document], tmp_path / "f", _use_new_zipfile_serialization=recent)
    assert_same(load_weights(tmp_path / "f"))


def test_weights_are_found_in_safetensors_under_any_name(tmp_path):
    state = {f"layers.{at}.weight": torch.full((2,), float(at)) for at in range(12)}
    safetensors.torch.save_file(dict(reversed(state.items())), tmp_path / "checkpoints")
    assert_same(load_weights(tmp_path / "checkpoints"), state)


@pytest.mark.parametrize("attribute", ["model.", "net.", "network."])
def test_the_attribute_of_a_lightning_module_is_taken_off(tmp_path, attribute):
    lightning = {
        "pytorch-lightning_version": "2.6.4",
        "epoch": 7,
        "hyper_parameters": {"lr": 0.1},
        "optimizer_states": [],
        "state_dict": prefixed(f"{attribute}_orig_mod."),
    }
    assert_same(loaded(tmp_path, lightning))


def test_an_attribute_that_not_all_names_share_stays(tmp_path):
    names = {"model.weight": torch.ones(1), "loss.weight": torch.ones(1)}
    lightning = {"pytorch-lightning_version": "2.6.4", "state_dict": names}
    assert_same(loaded(tmp_path, lightning), names)
    assert_same(loaded(tmp_path, prefixed("model.")), prefixed("model."))
    assert_same(loaded(tmp_path, prefixed("module.") | STATE), prefixed("module.") | STATE)


def test_a_part_that_was_compiled_alone_gets_its_name_back(tmp_path):
    document = {"head.weight": torch.ones(1), "body._orig_mod.0.weight": torch.ones(2)}
    assert list(loaded(tmp_path, document)) == ["head.weight", "body.0.weight"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64])
@pytest.mark.parametrize("save", [torch.save, safetensors.torch.save_file])
def test_types_stay(tmp_path, dtype, save):
    save({"weight": torch.ones(3, dtype=dtype)}, tmp_path / "file")
    assert load_weights(tmp_path / "file")["weight"].dtype == dtype


def test_nothing_that_is_loaded_wants_gradients(tmp_path):
    assert not loaded(tmp_path, DOCUMENTS["parameters"])["0.weight"].requires_grad


ENDLESS: dict = {}
ENDLESS["model"] = ENDLESS
REFUSED = {
    "optimizer": ({"state": {}, "param_groups": []}, "holds no state dict"),
    "list": ([torch.ones(1)], "holds no state dict"),
    "tensor": (torch.ones(1), "holds no state dict"),
    "numbers": ({"epoch": 1}, "holds no state dict"),
    "numbered": ({0: torch.ones(1)}, "holds no state dict"),
    "itself": (ENDLESS, "holds no state dict"),
    "more than notes": ({**STATE, "history": [1.0, 2.0]}, "holds history among tensors"),
    "foreign class": (
        {**STATE, "args": argparse.Namespace()},
        "cannot be loaded: it needs argparse.Namespace",
    ),
    "whole module": (nn.Linear(2, 2), "needs torch.nn.modules.linear.Linear, which is code"),
}


@pytest.mark.parametrize("document", REFUSED)
def test_what_is_no_state_dict_is_refused_in_a_sentence(tmp_path, document):
    content, reason = REFUSED[document]
    with pytest.raises(ValueError, match=reason) as caught:
        loaded(tmp_path, content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\0" * 9, b"\0" * 8 + b"{", b"PK\3\4", b"garbage" * 9])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_weights(tmp_path / "file")


@settings(deadline=None, max_examples=50)
@given(share=st.floats(0, 1, exclude_max=True), form=st.sampled_from(["zip", "legacy", "safe"]))
def test_a_file_that_was_cut_off_is_refused(tmp_path_factory, share, form):
    file = tmp_path_factory.mktemp("cut") / "file"
    if form == "safe":
        safetensors.torch.save_file(dict(STATE), file)
    else:
        torch.save(STATE, file, _use_new_zipfile_serialization=form == "zip")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="cannot be loaded"):
        load_weights(file)


def test_a_missing_file_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "nowhere")


class Malice:
    """Leaves a file behind when it is unpickled without protection."""

    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize("recent", [True, False], ids=["zip", "legacy"])
def test_code_runs_only_where_it_is_trusted(tmp_path, monkeypatch, recent):
    monkeypatch.chdir(tmp_path)
    document = {"model": STATE, "greeting": Malice()}
    torch.save(document, "file", _use_new_zipfile_serialization=recent)
    with pytest.raises(ValueError, match="system"):
        load_weights(Path("file"))
    assert not Path("executed").exists()
    with pytest.warns(UserWarning, match="trust_pickle=True runs"):
        assert_same(load_weights(Path("file"), trust_pickle=True))
    assert Path("executed").exists()


def test_a_trusted_module_gives_its_weights(tmp_path):
    module = nn.Linear(3, 2)
    with pytest.warns(UserWarning, match="trust_pickle"):
        assert_same(loaded(tmp_path, {"model": module}, trust_pickle=True), module.state_dict())


def sparse_state():
    """A CNN with the spreads of variational dropout; log alpha is 4 where `pruned` is."""
    state = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10).build(1).state_dict()
    pruned = {name: torch.rand(t.shape) < 0.5 for name, t in state.items()}
    sparse = OrderedDict(state)
    for name, tensor in state.items():
        suffix = "_bias" if name.endswith("bias") else ""
        log_alpha = torch.where(pruned[name], 4.0, 2.0)
        spread = log_alpha + 2 * torch.log(tensor.abs() + 1e-15)
        sparse[f"{name.rpartition('.')[0]}.log_sigma2{suffix}"] = spread
    return state, pruned, sparse


def test_variational_dropout_becomes_the_network_that_was_evaluated(tmp_path):
    state, pruned, sparse = sparse_state()
    found = loaded(tmp_path, sparse)
    assert list(found) == list(state)
    for name, tensor in state.items():
        # biases of linear layers are not pruned, as in the published code
        used = name.endswith("weight") or not name.startswith(("module_list.9", "module_list.11"))
        expected = torch.where(pruned[name] & used, 0.0, tensor)
        assert torch.equal(found[name], expected), name
    assert recognise(found, {"model::type": "CNN_ARD", "model::nlin": "tanh"}).name == "cnn"


def test_a_spread_that_was_never_initialised_does_no_harm():
    _, _, sparse = sparse_state()
    sparse["module_list.11.log_sigma2_bias"].fill_(float("nan"))
    assert all(torch.isfinite(tensor).all() for tensor in fold_spreads(sparse).values())


def test_a_network_without_spreads_stays_as_it_is():
    assert fold_spreads(STATE) is STATE
