"""`python -m mzsane.sample` leaves networks that load, and says how they came to be."""

import contextlib
import json
import shutil
from hashlib import sha256
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from omegaconf import flag_override
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mzsane import drawing, populations
from mzsane import sample as sample_module
from mzsane import samples as samples_module
from mzsane.analysing import device_of
from mzsane.architectures import Architecture
from mzsane.config import CONF_DIR
from mzsane.entry import sentence
from mzsane.images import digits as load_digits
from mzsane.opening import hash_of, open_model
from mzsane.populations import Population
from mzsane.samples import Samples
from mzsane.sampling import select
from mzsane.schemas import register_schemas
from mzsane.stores import write_store
from mzsane.zoos import ModelRecord, held, read_zoo, recognise

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 2}, (1, 28, 28), 10)


def composed(name, *overrides):
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose(name, list(overrides), return_hydra_config=True)


@pytest.fixture
def arguments_of(run, tmp_path):
    def join(arguments, folder="out", checkpoint=run):
        where = [f"checkpoint={checkpoint}", f"hydra.run.dir={tmp_path / folder}"]
        return [*where, f"data_dir={run}", "workers=1", *arguments]

    return join


@pytest.fixture
def command(arguments_of, warm, tmp_path):
    """The real command, in a process of its own."""

    def start(*arguments):
        return warm.run("mzsane.sample", *arguments_of(arguments), cwd=tmp_path)

    return start


@pytest.fixture
def sample(arguments_of, tmp_path, monkeypatch):
    """What the command does, in this process; returns the folder."""

    def call(*arguments, folder="out", **changes):
        cfg = composed("sample", *arguments_of(arguments, folder, **changes))
        with flag_override(cfg, ["struct", "readonly"], [False, False]):
            cfg.hydra.runtime.output_dir = str(tmp_path / folder)
            HydraConfig.instance().set_config(cfg)
            del cfg["hydra"]
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path)
        return sample_module.sample(cfg)

    return call


def states_in(folder):
    return [load_file(path) for path in sorted((folder / "models").glob("*.safetensors"))]


def test_samples_load_and_say_where_they_come_from(run, command, tmp_path):
    done = command("num_samples=3", "sampler=kde_token", "seed=4")
    assert done.returncode == 0, done.stderr
    assert "sampling" in done.stderr, "the bar"
    assert "3/3" in done.stderr
    folder = tmp_path / "out"
    states = states_in(folder)
    assert len(states) == 3
    network = CNN.build()
    for state in states:
        network.load_state_dict(state)
        assert recognise(state, {}).target == CNN.target
    records = [one for one in read_zoo(folder / "models") if isinstance(one, ModelRecord)]
    assert all(torch.equal(t, states[0][n]) for n, t in records[0].load().items())
    table = json.loads((folder / "samples.json").read_text())
    assert table["autoencoder"]["hash"] == hash_of(open_model(run).model)
    assert table["sampler"]["kde_token"]["draw"] == "token"
    assert (table["seed"], len(table["anchors"]["names"])) == (
        4,
        len(set(table["anchors"]["names"])),
    )
    with safe_open(folder / "models" / "sample_00002.safetensors", "pt") as file:
        about = json.loads(file.metadata()["mzsane"])
    assert about["index"] == 2
    assert about["anchors"] == table["anchors"]
    assert Architecture.from_json(about["architecture"]) == CNN
    assert not table["excluded"]


def test_a_table_says_of_which_models_and_with_what_the_samples_were_made(sample, store):
    stored = json.loads((sample("num_samples=1", "zoo.epochs=[1]") / "samples.json").read_text())
    origin = stored["anchors"]
    assert origin["store"] == store.content_hash
    assert (origin["split"], origin["epochs"], origin["num_models"]) == ("train", [1], None)
    assert origin["filters"] == {}
    assert (stored["torch"], stored["mzsane"]) == (version("torch"), version("mzsane"))
    assert stored["device"] == f"{device_of('auto')}"


def test_a_table_has_the_hash_of_the_file_of_each_loose_anchor(sample, tmp_path):
    torch.save(CNN.build(3).state_dict(), tmp_path / "mine.pt")
    arguments = ("anchors=mine.pt", "architecture=cnn", "num_samples=1")
    told = json.loads((sample(*arguments, folder="one") / "samples.json").read_text())["anchors"]
    expected = sha256((tmp_path / "mine.pt").read_bytes()).hexdigest()
    assert (told["sha256"], told["aligned"]) == ({"mine@0": expected}, False)
    torch.save(CNN.build(4).state_dict(), tmp_path / "mine.pt")
    (tmp_path / "one" / "summary.md").unlink()
    with pytest.raises(ValueError, match="was written with another anchors"):
        sample(*arguments, folder="one")


def test_repeating_gives_the_same_and_goes_on_where_a_run_was_stopped(sample):
    whole = sample("num_samples=3", folder="whole")
    part = sample("num_samples=3", folder="part")
    (part / "summary.md").unlink()
    (part / "samples.json").unlink()
    (part / "models" / "sample_00001.safetensors").unlink()
    kept = written(part)
    sample("num_samples=3", folder="part")
    assert kept.items() <= written(part).items(), "what was there is not written again"
    first, again = states_in(whole), states_in(part)
    assert len(first) == len(again) == 3
    for one, other in zip(first, again, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def written(folder):
    """Files of models, by name, with the time and place of their writing."""
    found = (folder / "models").iterdir()
    return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


def test_an_interruption_leaves_whole_files_that_the_same_command_keeps(
    sample, tmp_path, monkeypatch
):
    whole = sample("num_samples=4", folder="whole")
    monkeypatch.setattr(drawing, "TOGETHER", 1)
    own = samples_module.replacing

    @contextlib.contextmanager
    def interrupted(path):
        with own(path) as partial:
            yield partial
            if path.name == "sample_00002.safetensors":
                raise KeyboardInterrupt

    monkeypatch.setattr(samples_module, "replacing", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample("num_samples=4")
    kept = written(tmp_path / "out")
    assert sorted(kept) == ["sample_00000.safetensors", "sample_00001.safetensors"]
    assert not (tmp_path / "out" / "summary.md").exists()
    monkeypatch.setattr(samples_module, "replacing", own)
    folder = sample("num_samples=4")
    assert kept.items() <= written(folder).items()
    for one, other in zip(states_in(whole), states_in(folder), strict=True):
        for name, tensor in one.items():
            torch.testing.assert_close(tensor, other[name])


def test_a_finished_selection_survives_an_interruption(sample, tmp_path, monkeypatch):
    arguments = ("sampler=subsample", "density@sampler.subsample.sampler=gaussian",
                 "sampler.subsample.candidates=4", "sampler.subsample.survivors=2",
                 "images=digits")  # fmt: skip
    made = []

    def counted(*args, **named):
        made.append(args)
        return select(*args, **named)

    def interrupted(self, *rest):
        raise KeyboardInterrupt

    monkeypatch.setattr("mzsane.sampling.select", counted)
    write = Samples.write
    monkeypatch.setattr(Samples, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sample(*arguments)
    monkeypatch.setattr(Samples, "write", write)
    folder = sample(*arguments)
    assert len(made) == 1
    assert all("validation accuracy" in one for one in models_of(folder))
    assert not list(folder.glob("blocks-*"))


def models_of(folder):
    return json.loads((folder / "samples.json").read_text())["models"]


def test_models_of_another_autoencoder_are_not_mixed_with(run, sample, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(run, changed)
    folder = sample("num_samples=2", checkpoint=changed)
    (folder / "summary.md").unlink()
    before = written(folder)
    path = changed / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["model.unembed.bias"][0] += 1
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match="was written with another autoencoder; give another"):
        sample("num_samples=3", checkpoint=changed)
    assert written(folder) == before


def test_mended_variances_are_reported_by_model(tmp_path):
    population = Population.from_states(CNN, [CNN.build(n).state_dict() for n in range(3)])
    samples = Samples(tmp_path, {})
    samples.write(0, population[:2], [0, 3])
    samples = Samples(tmp_path, {})  # of a process that goes on
    samples.write(2, population[2:], [4])
    told = samples.finish(tmp_path / "summary.md")
    assert told.endswith("; 7 running variances were decoded to zero or less, and replaced")
    assert [model.get("mended variances", 0) for model in models_of(tmp_path)] == [0, 3, 4]


def test_a_network_of_ones_own_is_sampled_around_and_given_another_classifier(sample, tmp_path):
    torch.save(CNN.build(3).state_dict(), tmp_path / "mine.pt")
    folder = sample(
        "anchors=mine.pt", "architecture=cnn", "num_samples=2", "classes=7", "device=cpu"
    )
    one, other = states_in(folder)
    table = json.loads((folder / "samples.json").read_text())
    assert (table["anchors"]["source"], table["anchors"]["names"]) == ("mine.pt", ["mine@0"])
    assert any(not torch.equal(one[name], other[name]) for name in one)
    with safe_open(folder / "models" / "sample_00000.safetensors", "pt") as file:
        architecture = json.loads(json.loads(file.metadata()["mzsane"])["architecture"])
    assert architecture["classes"] == 7
    (head,) = (name for name, tensor in one.items() if tensor.ndim == 2 and len(tensor) == 7)
    assert not torch.equal(one[head], other[head]), "each model has a classifier of its own"
    Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 7).build().load_state_dict(one)


def test_a_selection_writes_the_best_first_with_their_accuracy(sample):
    folder = sample(
        "sampler=bootstrap", "density@sampler.bootstrap.sampler=gaussian",
        "sampler.bootstrap.candidates=6", "sampler.bootstrap.survivors=3",
        "sampler.bootstrap.rounds=2", "images=digits",
    )  # fmt: skip
    models = json.loads((folder / "samples.json").read_text())["models"]
    scores = [model["validation accuracy"] for model in models]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_what_a_selection_writes_is_what_was_judged(sample, monkeypatch):
    """By a weight, which differs from model to model where accuracies may be the same."""

    def judged(population, *_):
        return SimpleNamespace(accuracy=population.tensors["module_list.0.bias"][:, 0])

    monkeypatch.setattr("mzsane.evaluation.selecting.evaluate", judged)
    folder = sample(
        "sampler=subsample", "density@sampler.subsample.sampler=kde_joint",
        "sampler.subsample.candidates=9", "sampler.subsample.survivors=4", "images=digits",
    )  # fmt: skip
    models = json.loads((folder / "samples.json").read_text())["models"]
    scores = [model["validation accuracy"] for model in models]
    written = judged(Population.from_states(CNN, states_in(folder))).accuracy.tolist()
    assert written == pytest.approx(scores, abs=1e-6)
    assert scores[0] > scores[-1] + 1e-4


def test_anchors_of_ones_own_are_aligned_if_that_is_asked_for(sample, store, tmp_path):
    shelf = store.architectures[0]
    state = shelf.state(shelf.reference)
    moved = shelf.symmetry.apply(state, shelf.symmetry.random(np.random.default_rng(0)))
    save_file(state, tmp_path / "stored.safetensors")
    save_file(moved, tmp_path / "moved.safetensors")

    def drawn(name, align):
        """Around one anchor this density has no width."""
        arguments = (f"anchors={name}.safetensors", f"align={align}", "sampler=gaussian")
        (one,) = states_in(sample(*arguments, "num_samples=1", folder=f"{name}_{align}"))
        return one

    stored, aligned, left = (
        drawn(*one) for one in (("stored", False), ("moved", True), ("moved", False))
    )
    for name, tensor in stored.items():
        torch.testing.assert_close(aligned[name], tensor)
    assert any(not torch.allclose(left[name], tensor) for name, tensor in stored.items())


@pytest.mark.parametrize("models", [1, 3])
def test_anchors_are_of_as_many_models_as_the_zoo_is_told(sample, models):
    folder = sample(f"zoo.num_models={models}", "num_samples=1")
    names = json.loads((folder / "samples.json").read_text())["anchors"]["names"]
    assert len({name.split("@")[0] for name in names}) == models


@pytest.fixture
def resnets(tmp_path):
    """What names anchors with running statistics."""
    folder = tmp_path / "resnets"
    folder.mkdir()
    for seed in range(3):
        save_file(RESNET.build(seed).state_dict(), folder / f"model{seed}.safetensors")
    return (
        "anchors=resnets", "architecture=resnet18", "architecture.arguments.width=2",
        "architecture.input_shape=[1,28,28]", "images=digits",
    )  # fmt: skip


def test_neither_selecting_nor_conditioning_sees_test_images(sample, resnets, monkeypatch):
    seen = {}

    def spy(where, own):
        def call(population, split, *rest, **named):
            seen.setdefault(where, []).append(split.images)
            return own(population, split, *rest, **named)

        return call

    condition, evaluate = populations.condition, populations.evaluate
    for where, own in (
        ("mzsane.populations.condition", condition),  # of what is written
        ("mzsane.evaluation.selecting.condition", condition),
        ("mzsane.evaluation.selecting.evaluate", evaluate),
    ):
        monkeypatch.setattr(where, spy(where, own))
    sample(*resnets, "sampler=subsample", "sampler.subsample.candidates=3",
           "sampler.subsample.survivors=2")  # fmt: skip
    assert len(seen) == 3
    validation = load_digits().validation.images
    assert all(torch.equal(images, validation) for each in seen.values() for images in each)


def test_running_statistics_are_made_from_images_or_left(sample, resnets):
    common = (*resnets, "num_samples=1", "sampler=gaussian")
    (kept,), (made,) = (
        states_in(sample(*common, f"conditioning={how}", folder=how)) for how in ("none", "train")
    )
    assert torch.equal(kept["bn1.running_mean"], torch.zeros(2))
    assert (made["bn1.running_mean"] != 0).all()
    assert torch.equal(kept["conv1.weight"], made["conv1.weight"])


def mixed(tmp_path):
    folder = tmp_path / "mixed"
    folder.mkdir()
    save_file(CNN.build(0).state_dict(), folder / "a.safetensors")
    save_file(RESNET.build(0).state_dict(), folder / "b.safetensors")
    return "anchors=mixed"


def broken(tmp_path):
    state = CNN.build(0).state_dict()
    next(iter(state.values())).view(-1)[0] = torch.nan
    torch.save(state, tmp_path / "broken.pt")
    return "anchors=broken.pt"


def architectures(tmp_path):
    records = (
        ModelRecord(f"{kind.name}{n}", 1, held(kind.build(n).state_dict()), {}, kind)
        for kind in (CNN, Architecture("mzsane.architectures.CNN3", {}, (3, 32, 32), 10))
        for n in range(4)
    )
    write_store(tmp_path / "both.h5", records, name="both", size=201, align=False)
    return "zoo=digits", "zoo.build=false", f"zoo.sources.digits.store={tmp_path / 'both.h5'}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (lambda _: "anchors=nowhere.pt", "anchors=nowhere.pt: there is no such file or folder"),
        (
            mixed,
            "anchors are of one architecture, these of several (cnn with 2,464",
        ),
        (broken, "the anchor broken@0 has weights that are NaN or infinite; leave it out"),
        (architectures, "choose with shelf= from digits/0:"),
        (lambda _: "split=other", "split 'other': choose from train, validation, test"),
        (lambda _: "num_samples=0", "num_samples=0: ask for at least one"),
        (lambda _: "sampler=[gaussian,kde_token]", "sampler=[gaussian,kde_token]: name one"),
        (lambda _: "device=tpu0", "device=tpu0: not on this machine"),
        (lambda _: "precision=half", "precision=half: choose float32 or bfloat16"),
        (
            lambda _: ("sampler=subsample", "sampler.subsample.survivors=300"),
            "more survivors than candidates",
        ),
        (
            lambda _: ("sampler=subsample", "num_samples=11"),
            "num_samples=11: the selection keeps 10",
        ),
        (lambda _: ("sampler=subsample", "images=shapes"), "they have the shape (3, 28, 28)"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence_and_writes_nothing(
    sample, tmp_path, arguments, message
):
    arguments = arguments(tmp_path)
    arguments = (arguments,) if isinstance(arguments, str) else arguments
    with pytest.raises((ValueError, OSError, InstantiationException)) as caught:
        sample(*arguments)
    said = sentence(caught.value, "sample")
    assert message in said
    assert "\n" not in said
    assert not list(tmp_path.rglob("models"))
    assert not list(tmp_path.rglob("samples.json"))


def test_the_command_ends_with_one_sentence(command):
    done = command("checkpoint=null")
    assert done.returncode == 1
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("mzsane:"))
    assert "which autoencoder? set checkpoint=" in said
    assert "Traceback" not in done.stderr


def test_weights_that_are_no_numbers_are_counted_and_not_written(run, sample, tmp_path):
    folder = tmp_path / "broken_run"
    shutil.copytree(run, folder)
    path = folder / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["model.unembed.bias"][0] = torch.nan
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match="all 2 models have weights that are NaN or infinite"):
        sample("num_samples=2", checkpoint=folder)
    assert not list(tmp_path.glob("out/*.json"))


def test_some_broken_models_are_left_out_by_number(tmp_path):
    population = Population.from_states(CNN, [CNN.build(n).state_dict() for n in range(3)])
    next(iter(population.tensors.values()))[1].view(-1)[0] = torch.inf
    samples = Samples(tmp_path, {})
    samples.write(5, population)
    told = samples.finish(tmp_path / "summary.md")
    assert told == "2 models written, 1 left out because a weight is NaN or infinite"
    table = json.loads((tmp_path / "samples.json").read_text())
    assert table["excluded"] == [6]
    assert [model["index"] for model in table["models"]] == [5, 7]
