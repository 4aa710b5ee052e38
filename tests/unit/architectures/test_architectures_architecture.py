"""An architecture is a value: it builds, travels as JSON, and runs no foreign code unasked."""

import sys

import pytest
import torch

from mzsane.architectures import CNN, Architecture


def small(**changes) -> Architecture:
    fields = {
        "target": "mzsane.architectures.CNN",
        "arguments": {"nonlinearity": "relu"},
        "input_shape": (3, 28, 28),
        "classes": 7,
    }
    return Architecture(**(fields | changes))


def test_constructor_arguments_come_from_the_shape_of_the_data():
    network = small(input_shape=(3, 32, 24)).build()
    assert isinstance(network, CNN)
    assert network(torch.ones(2, 3, 32, 24)).shape == (2, 7)


def test_given_arguments_win_over_the_shape_of_the_data():
    assert small(arguments={"classes": 4}).build()(torch.ones(1, 3, 28, 28)).shape == (1, 4)


def test_a_seed_decides_the_weights_and_another_changes_them():
    first, again, other = (small().build(seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["module_list.0.weight"], other["module_list.0.weight"])


@pytest.mark.parametrize("seed", [None, 3])
def test_building_leaves_the_global_random_state_alone(seed):
    before = torch.random.get_rng_state()
    small().build(seed)
    assert torch.equal(before, torch.random.get_rng_state())


def test_json_gives_back_an_equal_architecture():
    original = small(arguments={"width": (4, 3, 2)}, name="tiny")
    restored = Architecture.from_json(original.to_json())
    assert restored == original
    assert restored.name == "tiny"
    assert (hash(restored), restored.fingerprint) == (hash(original), original.fingerprint)
    assert restored.build(1)(torch.ones(1, 3, 28, 28)).shape == (1, 7)


def test_trust_is_not_stored():
    assert not Architecture.from_json(small(trusted=True).to_json()).trusted
    with pytest.raises(ValueError, match="not a stored architecture"):
        Architecture.from_json(small().to_json().replace('"classes"', '"trusted": true, "classes"'))


@pytest.mark.parametrize(
    "change",
    [
        {"arguments": {}},
        {"classes": 8},
        {"input_shape": (1, 28, 28)},
        {"target": "mzsane.architectures.ResNet18"},
    ],
)
def test_the_fingerprint_sees_what_changes_the_network(change):
    assert small(**change).fingerprint != small().fingerprint


def test_the_fingerprint_is_blind_to_labels():
    assert small(name="other", trusted=True).fingerprint == small().fingerprint


def test_the_name_is_the_class_in_lower_case_unless_given():
    assert (small().name, small(name="mnist cnn").name) == ("cnn", "mnist cnn")


@pytest.mark.parametrize(
    "target",
    ["this.Antigravity", "os.system", "mzsane.architectures.architecture.torch.load", "CNN", ""],
)
def test_nothing_foreign_is_imported_without_trust(target):
    with pytest.raises(ValueError, match="trusted"):
        small(target=target).build()
    assert "this" not in sys.modules


def test_a_trusted_target_is_built():
    foreign = Architecture("torch.nn.Linear", {"in_features": 2, "out_features": 3}, (1, 1, 2), 3)
    trusted = Architecture.from_json(foreign.to_json(), trusted=True)
    assert trusted.build(0)(torch.ones(1, 2)).shape == (1, 3)


@pytest.mark.parametrize("target", ["torch.nn.Lineal", "nowhere.Net", "net"])
def test_a_trusted_target_that_does_not_exist_is_named(target):
    with pytest.raises(ValueError, match=f"{target} cannot be imported"):
        small(target=target, trusted=True).build()


def test_a_wrong_argument_is_one_sentence():
    with pytest.raises(ValueError, match=r"CNN cannot be built.*wdith") as error:
        small(arguments={"wdith": (8, 6, 4)}).build()
    assert "\n" not in str(error.value)


def test_arguments_that_json_cannot_hold_are_refused():
    with pytest.raises(ValueError, match="plain values"):
        small(arguments={"width": torch.ones(3)})


def test_an_input_shape_needs_three_numbers():
    with pytest.raises(ValueError, match="input_shape"):
        small(input_shape=(28, 28))


@pytest.mark.parametrize("text", ["", "[]", '{"target": "x"}'])
def test_a_text_that_is_no_architecture_is_refused(text):
    with pytest.raises(ValueError, match="not a stored architecture"):
        Architecture.from_json(text)
