"""Stores are made where they are missing or out of date, by one process, and then only read."""

import threading
from dataclasses import dataclass, field, replace

import pytest

from mzsane.populations import Recipe
from mzsane.progress import silent
from mzsane.stores import Source, TokenStore, prepare
from mzsane.zoos import Builder

TOKENS = {"size": 32, "scheme": "channel", "batchnorm": "rows"}


def no_images():
    raise AssertionError


@dataclass(frozen=True)
class Counting(Builder):
    """Trains nothing, and counts how often it was asked to."""

    builds: list[str] = field(default_factory=list)

    def build(self, progress=silent):
        self.builds.append("built")


@pytest.fixture
def source(tmp_path, zoo, architectures):
    recipe = Recipe(batch_size=1, epochs=1)
    builder = Counting(tmp_path / "zoo", no_images, architectures["mlp"], 3, recipe, [1])
    return Source(tmp_path / "stores" / "a.h5", lambda: zoo("mlp", 3), builder)


@pytest.mark.parametrize("wrong", [{"scheme": "dens"}, {"size": -1}, {"batchnorm": "row"}])
def test_wrong_token_settings_are_told_before_models_are_built(source, wrong):
    with pytest.raises(ValueError, match=str(*wrong.values())):
        prepare({"a": source}, TOKENS | wrong)
    assert source.builder.builds == []


def test_a_store_is_made_once(source):
    first = prepare({"a": source}, TOKENS)["a"]
    made = source.store.stat().st_mtime_ns
    second = prepare({"a": source}, TOKENS)["a"]
    assert len(source.builder.builds) == 1
    assert source.store.stat().st_mtime_ns == made
    assert (first.content_hash, len(second)) == (second.content_hash, 3)


@pytest.mark.parametrize("change", [{"seed": 1}, {"align": False}])
def test_a_store_of_another_zoo_or_alignment_is_made_anew(source, change):
    prepare({"a": source}, TOKENS)
    source = replace(source, builder=replace(source.builder, seed=change.get("seed", 0)))
    store = prepare({"a": source}, TOKENS, align=change.get("align", True))["a"]
    assert len(source.builder.builds) == 2
    assert store.provenance["origin"]["built"] == source.origin["built"]
    assert store.provenance["aligned"] == change.get("align", True)


def test_processes_that_need_one_store_make_it_once(source, zoo):
    writing, release = threading.Event(), threading.Event()
    told, found = [], []

    def slow():
        writing.set()
        assert release.wait(60)
        return zoo("mlp", 3)

    def progress(stage, done, total):
        told.append(stage)
        release.set()

    first = replace(source, reader=slow)
    threads = [
        threading.Thread(target=lambda: prepare({"a": first}, TOKENS)),
        threading.Thread(
            target=lambda: found.append(prepare({"a": source}, TOKENS, progress=progress)["a"])
        ),
    ]
    threads[0].start()
    assert writing.wait(60)
    threads[1].start()
    for thread in threads:
        thread.join(60)
    assert told == ["waiting for another process that makes a.h5"]
    assert len(source.builder.builds) == 1
    assert len(found[0]) == 3


def test_what_is_there_is_read_without_writing(source):
    prepare({"a": source}, TOKENS)
    for path in source.store.parent.iterdir():
        if path != source.store:
            path.unlink()
    for build in (True, False):
        prepare({"a": source}, TOKENS, build=build)
    assert list(source.store.parent.iterdir()) == [source.store]


def test_a_missing_store_is_refused_when_nothing_may_be_built(source):
    with pytest.raises(FileNotFoundError, match=r"a\.h5.*'a' is missing.*zoo\.build=true"):
        prepare({"a": source}, TOKENS, build=False)


def test_a_store_with_other_tokens_is_named_and_kept(source):
    prepare({"a": source}, TOKENS)
    with pytest.raises(ValueError, match=r"a\.h5: written with tokens\.size=32, asked for 16"):
        prepare({"a": source}, TOKENS | {"size": 16})
    assert TokenStore.open(source.store).settings["size"] == 32


def test_a_zoo_without_sources_is_refused():
    with pytest.raises(ValueError, match=r"zoo\.sources is empty"):
        prepare({}, TOKENS)
