"""`python -m mzsane.inspect` on a small store, and on what is none."""

import functools
import json

import pytest


@pytest.fixture
def inspect(warm):
    return functools.partial(warm.run, "mzsane.inspect")


def test_programs_read_what_a_store_holds(inspect, store):
    facts = json.loads(inspect(store.path, "--json", "--verify").stdout)
    (shelf,) = facts["architectures"]
    assert (facts["name"], facts["checkpoints"]) == ("tiny", 12)
    assert (shelf["name"], shelf["models"], shelf["weights"]) == ("cnn", 12, 2464)
    assert (shelf["tokens"], shelf["d_token"]) == (48, 201)
    assert sorted(shelf["symmetry"].values()) == [4, 6, 8, 20]
    assert shelf["properties"]["test_acc"] == "0 to 0.9167, mean 0.4583"
    assert set(shelf["properties"]) == {"test_acc", "weights::max_abs", "weights::norm"}


def test_people_read_a_line_a_fact(inspect, store):
    lines = inspect(store.path).stdout.splitlines()
    assert "name: tiny" in lines
    assert "  weights: 2464" in lines
    assert "  skipped: none" in lines


def test_what_is_no_store_is_refused_in_one_sentence(inspect, tmp_path):
    for path in (tmp_path / "none.h5", tmp_path):
        done = inspect(path)
        assert done.returncode == 1
        assert done.stderr.startswith(f"mzsane: {path}")
        assert len(done.stderr.splitlines()) == 1
