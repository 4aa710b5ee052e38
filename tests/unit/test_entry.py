"""A mistake on the command line ends in one sentence, whatever stands beside it."""

import sys

import pytest

from mzsane.entry import run


@pytest.fixture
def told(monkeypatch, tmp_path):
    """The sentence with which a command ends."""

    def command(*arguments, config_name="train"):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["mzsane", *arguments])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # restored, whatever the command sets
        with pytest.raises(SystemExit) as stop:
            run(lambda cfg: None, config_name)
        return stop.value.code

    return command


SENTENCE = "mzsane: model.d_modle: there is no such key; did you mean 'd_model'?"


def test_of_two_misspelt_keys_the_first_is_named(told):
    assert told("model.d_modle=3", "data.windw=4") == SENTENCE


def test_a_misspelt_key_of_a_sweep_is_named(told):
    assert told("-m", "zoo=digits,printed", "model.d_modle=3") == SENTENCE


def test_an_option_for_another_entry_point_is_told(told):
    sentence = told("debug=fast", "--cfg=job", config_name="preprocess")
    assert sentence.startswith("mzsane: In 'debug/fast': Could not override 'sampler'")


def test_options_are_listed_without_where_hydra_looked(told):
    sentence = told("zoo=nothing_like_it")
    assert sentence.startswith("mzsane: zoo=nothing_like_it: there is no such option; there is: ")
    assert not {"Config", "provider", "path"} & set(sentence.replace("=", " ").split())
    assert told("zoo=[digits,mine]").startswith("mzsane: zoo=[mine]: there is no such option; ")


def test_a_filter_that_is_not_added_is_told_how(told):
    assert told("zoo.filters.good=1") == (
        "mzsane: zoo.filters.good: nothing is called so yet; add it with +zoo.filters.good=..."
    )


def test_a_value_of_the_wrong_kind_is_told_without_internals(told):
    sentence = told("zoo=digits", "zoo.epochs=2")
    assert sentence.startswith("mzsane: Error merging override zoo.epochs=2: ")
    assert "reference_type" not in sentence
