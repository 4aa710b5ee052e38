"""A long training goes on from the state it left, to the bits of an uninterrupted one."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

import mzsane.zoos.building.training
from mzsane.architectures import Architecture
from mzsane.images import ImageSet, Split
from mzsane.populations import Recipe
from mzsane.zoos import Builder, read_trials

MLP = Architecture("mzsane.architectures.MLP", {"width": [4]}, (1, 10, 10), 10)
VARY = {"lr": [0.02, 0.05], "initialisation": ["uniform", "kaiming_normal"]}


def noise():
    """Images without meaning."""
    generator = torch.Generator().manual_seed(0)
    splits = [
        Split(torch.randn(n, 1, 10, 10, generator=generator), torch.arange(n) % 10)
        for n in (24, 10, 12)
    ]
    return ImageSet("noise", *splits, classes=10)


def builder(folder, engine="process", **changes):
    recipe = Recipe("sgd", 0.05, 1e-3, batch_size=8, epochs=4, scheduler="onecycle")
    settings = Builder(
        folder, noise, MLP, 1, recipe, [1, 3, 4], workers=1, vary=VARY, engine=engine
    )
    return replace(settings, **changes)


def contents(folder):
    """Every checkpoint's weights and results, by model and epoch."""
    return {
        (r.model, r.epoch): (
            torch.cat([t.flatten().double() for t in r.load().values()]),
            {k: v for k, v in r.properties.items() if "_loss" in k},
        )
        for r in read_trials(folder)
    }


def assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys()
    for key, (weights, results) in theirs.items():
        assert torch.equal(ours[key][0], weights), key
        assert ours[key][1] == results, key


@pytest.fixture(autouse=True)
def keeping_always(monkeypatch):
    monkeypatch.setattr(mzsane.zoos.building.training, "KEEPING", -1.0)


@pytest.fixture(scope="module", params=["process", "vmap"])
def whole(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoos") / request.param
    builder(folder, request.param).build()
    return folder


def interrupt(monkeypatch, function, calls):
    """Ctrl-C when `function` of the module is called for the last of so many times."""
    real, left = getattr(mzsane.zoos.building.training, function), [calls]

    def counting(*arguments):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(mzsane.zoos.building.training, function, counting)
    return lambda: monkeypatch.setattr(mzsane.zoos.building.training, function, real)


@pytest.mark.parametrize("function", ["_record", "write_checkpoint", "keep", "publish"])
@pytest.mark.parametrize("calls", [1, 3, 5])
def test_interrupted_anywhere_equals_uninterrupted(whole, tmp_path, monkeypatch, function, calls):
    mend = interrupt(monkeypatch, function, calls)
    try:
        builder(tmp_path, whole.name).build()
    except KeyboardInterrupt:
        mend()
        builder(tmp_path, whole.name).build()
    assert_equal(contents(tmp_path), contents(whole))
    lines = (tmp_path / "trial_00000" / "result.json").read_text().splitlines()
    assert [json.loads(line)["training_iteration"] for line in lines] == [0, 1, 2, 3, 4]
    assert {p.name for p in tmp_path.iterdir()} - {".lock"} == {p.name for p in whole.iterdir()} - {
        ".lock"
    }
    left = {p.name for p in (tmp_path / "trial_00000").iterdir()}
    assert left == {p.name for p in (whole / "trial_00000").iterdir()}


def test_what_was_trained_is_not_trained_again(whole, tmp_path, monkeypatch):
    mend = interrupt(monkeypatch, "_record", 4)
    with pytest.raises(KeyboardInterrupt):
        builder(tmp_path, whole.name).build()
    mend()
    epochs = []
    real = mzsane.zoos.building.training._record
    monkeypatch.setattr(
        mzsane.zoos.building.training,
        "_record",
        lambda t, s, *a: (epochs.append(s.epoch), real(t, s, *a)),
    )
    builder(tmp_path, whole.name).build()
    assert epochs[:2] == [3, 4], "the first two epochs had been kept"


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("engines", [("process", "vmap"), ("vmap", "process")])
def test_another_engine_goes_on_where_the_first_was(tmp_path, monkeypatch, engines, optimizer):
    """As when a build is taken from a laptop to a machine with a GPU."""
    recipe = Recipe(optimizer, 0.01, 1e-3, batch_size=8, epochs=4)
    builder(tmp_path / "whole", recipe=recipe, vary={}).build()
    mend = interrupt(monkeypatch, "_record", 4)
    with pytest.raises(KeyboardInterrupt):
        builder(tmp_path / "both", engines[0], recipe=recipe, vary={}).build()
    mend()
    builder(tmp_path / "both", engines[1], recipe=recipe, vary={}).build()
    ours, theirs = contents(tmp_path / "both"), contents(tmp_path / "whole")
    for key in theirs:
        torch.testing.assert_close(ours[key][0], theirs[key][0], atol=1e-4, rtol=1e-4)


def test_a_state_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    mend = interrupt(monkeypatch, "_record", 3)
    with pytest.raises(KeyboardInterrupt):
        builder(tmp_path).build()
    mend()
    (state,) = tmp_path.glob(".trial_*/training.pt")
    state.write_bytes(b"half")
    with pytest.raises(ValueError, match=r"training.pt cannot be read; remove .*trial_00000"):
        builder(tmp_path).build()
    shutil.rmtree(state.parent)
    builder(tmp_path).build()


def test_both_engines_build_the_same_zoo(tmp_path):
    for engine in ("process", "vmap"):
        builder(tmp_path / engine, engine, checkpoint_epochs=[0, 1]).build()
    ours, theirs = contents(tmp_path / "vmap"), contents(tmp_path / "process")
    assert ours.keys() == theirs.keys()
    for key in theirs:
        torch.testing.assert_close(ours[key][0], theirs[key][0], atol=1e-3, rtol=1e-3)
    properties = [
        {r.model: {k: v for k, v in r.properties.items() if "::" in k or k == "seed"}
         for r in read_trials(tmp_path / engine)}
        for engine in ("process", "vmap")
    ]  # fmt: skip
    assert properties[0] == properties[1]
    assert {p["model::init_type"] for p in properties[0].values()} == set(VARY["initialisation"])


def test_models_are_trained_in_chunks_that_fit(tmp_path, monkeypatch):
    """Of these there are no two at once."""
    monkeypatch.setattr("mzsane.populations.engines.BUDGET", 1)
    told = []
    builder(tmp_path, "vmap").build(lambda stage, done, total: told.append((done, total)))
    assert told == [(done, 4) for done in range(5)]


def test_results_can_be_rarer_than_epochs(tmp_path):
    builder(tmp_path, checkpoint_epochs=[1], measure_every=3).build()
    lines = (tmp_path / "trial_00000" / "result.json").read_text().splitlines()
    results = [json.loads(line) for line in lines]
    assert [result["training_iteration"] for result in results] == [0, 1, 3, 4]
    for result in results:
        assert result["ggap"] == result["train_acc"] - result["test_acc"]


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (replace(MLP, input_shape=(3, 10, 10)), r"takes images of shape \(3, 10, 10\), those"),
        (replace(MLP, classes=4), "tells 4 classes apart, noise has 10"),
        (replace(MLP, arguments={"classes": 7}), r"logits of shape \(2, 7\)"),
        (replace(MLP, arguments={"input_shape": [3, 10, 10]}), "cannot be shown noise"),
        (replace(MLP, arguments={"widht": 3}), "cannot be built: .*widht"),
    ],
)
def test_architectures_that_do_not_fit_the_images_are_refused(tmp_path, architecture, message):
    with pytest.raises(ValueError, match=message):
        builder(tmp_path, architecture=architecture, vary={}).build()
    builder(tmp_path, vary={}).build()  # nothing was claimed by the mistake
