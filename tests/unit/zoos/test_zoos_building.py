"""A built zoo is a function of its settings, however often its building was interrupted."""

import json
from dataclasses import replace
from functools import partial

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.images import ImageSet, Split
from mzsane.populations import Recipe
from mzsane.zoos import Builder, read_trials

CNN = Architecture("mzsane.architectures.CNN", {"width": [2, 2, 2]}, (1, 28, 28), 10)


def noise(images=60, cache=None):
    """Images without meaning."""
    generator = torch.Generator().manual_seed(0)
    splits = [
        Split(torch.randn(n, 1, 28, 28, generator=generator), torch.arange(n) % 10)
        for n in (images, 10, 20)
    ]
    return ImageSet("noise", *splits, classes=10)


def builder(folder, **changes):
    settings = Builder(
        folder, noise, CNN, 3, Recipe(lr=1e-2, batch_size=20, epochs=2), [1, 2], seed=5, workers=1
    )
    return replace(settings, **changes)


def weights(folder):
    """Every checkpoint's bits by model and epoch."""
    return {
        (r.model, r.epoch): torch.cat([t.flatten() for t in r.load().values()]).numpy().tobytes()
        for r in read_trials(folder)
    }


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoos") / "noise"
    builder(folder).build()
    return folder


def test_every_model_has_its_own_weights_and_every_epoch_its_results(zoo):
    records = list(read_trials(zoo))
    assert len(set(weights(zoo).values())) == len(records) == 6
    assert all(record.architecture == CNN for record in records)
    seeds = {record.properties["seed"] for record in records}
    assert len(seeds) == 3
    lines = (zoo / records[0].model / "result.json").read_text().splitlines()
    assert [json.loads(line)["training_iteration"] for line in lines] == [0, 1, 2]
    wanted = {f"{s}_{q}" for s in ("train", "val", "test") for q in ("loss", "acc")} | {"ggap"}
    assert wanted <= records[0].properties.keys()


def test_results_are_those_of_the_stored_weights(zoo):
    record = list(read_trials(zoo))[-1]
    network, images = CNN.build().eval(), noise()
    network.load_state_dict(record.load())
    correct = (network(images.test.images).argmax(1) == images.test.labels).float().mean()
    assert record.properties["test_acc"] == pytest.approx(correct.item())
    seen = (network(images.train.images[:20]).argmax(1) == images.train.labels[:20]).float().mean()
    assert record.properties["train_acc"] == pytest.approx(seen.item())


def test_only_whole_trials_and_the_settings_are_left(zoo):
    names = {path.name for path in zoo.iterdir()} - {".lock"}
    assert names == {"trial_00000", "trial_00001", "trial_00002", "zoo.json"}


def test_a_zoo_grows_and_its_models_stay(zoo, tmp_path):
    builder(tmp_path, num_models=1).build()
    before = weights(tmp_path)
    told = []
    builder(tmp_path).build(lambda stage, done, total: told.append((done, total)))
    after = weights(tmp_path)
    assert before.items() <= after.items()
    assert after == weights(zoo)
    assert told == [(0, 2), (1, 2), (2, 2)]
    builder(tmp_path, num_models=1).build(lambda *_: pytest.fail("nothing was missing"))
    assert weights(tmp_path) == after


def test_another_seed_gives_other_models(zoo, tmp_path):
    builder(tmp_path, seed=6).build()
    assert not set(weights(tmp_path).values()) & set(weights(zoo).values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 6}, "seed=5, asked for 6"),
        ({"recipe": Recipe(lr=0.5, batch_size=20, epochs=2)}, "recipe.lr=0.01, asked for 0.5"),
        ({"checkpoint_epochs": [2]}, "checkpoint_epochs"),
        ({"images": partial(noise, images=40)}, "images_arguments.images=60, asked for 40"),
        ({"architecture": replace(CNN, arguments={})}, "architecture.arguments.width"),
    ],
)
def test_a_zoo_of_other_settings_is_not_touched(zoo, changes, message):
    before = weights(zoo)
    with pytest.raises(ValueError, match=f"{message}.*remove the folder"):
        builder(zoo, **changes).build()
    assert weights(zoo) == before


def test_where_images_are_cached_does_not_matter(zoo, tmp_path):
    builder(zoo, images=partial(noise, cache=tmp_path)).build()


def test_trials_from_elsewhere_are_not_mixed_with_ours(tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "params.json").write_text("{}")
    with pytest.raises(ValueError, match="it was not built here"):
        builder(tmp_path).build()


def test_half_a_trial_of_a_killed_build_is_swept_away(zoo, tmp_path):
    builder(tmp_path, num_models=1).build()
    (tmp_path / ".trial_00001" / "checkpoint_000001").mkdir(parents=True)
    (tmp_path / ".trial_00001" / "params.json").write_text("{")
    builder(tmp_path).build()
    assert weights(tmp_path) == weights(zoo)
    assert not list(tmp_path.glob(".trial_*"))


def test_a_failing_model_leaves_nothing_half_done(tmp_path):
    failing = builder(tmp_path, recipe=Recipe(batch_size=61, epochs=2))
    with pytest.raises(ValueError, match="do not fill one batch"):
        failing.build()
    assert {path.name for path in tmp_path.iterdir()} == {".lock"}


def test_epochs_that_are_never_reached_are_refused(tmp_path):
    with pytest.raises(ValueError, match="epochs 0 to 2"):
        builder(tmp_path, checkpoint_epochs=[3])
    with pytest.raises(ValueError, match="name one or more"):
        builder(tmp_path, checkpoint_epochs=[])


def test_image_sets_of_one_function_differ_by_name(tmp_path):
    def named(name, cache=None):
        return noise()

    one, other = (builder(tmp_path, images=partial(named, name=name)) for name in ("a", "b"))
    assert (one.settings["images"], other.settings["images"]) == ("a", "b")
