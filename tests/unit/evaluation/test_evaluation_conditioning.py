"""Running statistics of judged models come from where the configuration says, and nowhere else."""

from dataclasses import replace

import pytest
import torch

from mzsane.evaluation import Study, ZeroShot, judging, summarise
from mzsane.populations import condition, evaluate
from mzsane.sampling import Gaussian, Selection, decode_models
from mzsane.tokens import Layout

METHODS = ["anchors", "random", "greedy_soup", "reconstructed", "gaussian", "subsample"]
DECODED = ("reconstructed", "gaussian", "subsample")


@pytest.fixture(scope="module")
def grouped_store(resnet_store):
    """Of models whose running statistics are tokens."""
    shelf = resnet_store.architectures[0]
    layout = Layout(shelf.layout.shapes, shelf.layout.size, batchnorm="grouped")
    return replace(resnet_store, architectures=(replace(shelf, layout=layout),))


def study(store, images, how):
    samplers = {"gaussian": Gaussian(), "subsample": Selection(Gaussian(), 3, 2)}
    return Study(
        {store.name: store}, {"a": lambda: images}, samplers, {"zero_shot": ZeroShot()},
        METHODS, num_anchors=3, num_samples=2, workers=1, conditioning=how,
    )  # fmt: skip


def same_weights(one, other):
    return torch.equal(one.tensors["conv1.weight"], other.tensors["conv1.weight"])


@pytest.fixture
def judged(grouped_store, small_sane, noise_images, monkeypatch):
    """Runs a study: its rows, the images of every conditioning, and models as they were run."""
    images = noise_images(grouped_store.architectures[0].architecture)

    def run(how):
        seen, ran = [], []

        def conditioned(population, split, *rest, **named):
            seen.append(split.images)
            return condition(population, split, *rest, **named)

        def evaluated(population, split, *rest):
            if split.images is images.test.images:
                ran.append(population)
            return evaluate(population, split, *rest)

        for module in ("judging", "selecting", "selected"):
            monkeypatch.setattr(f"mzsane.evaluation.{module}.condition", conditioned)
        monkeypatch.setattr(judging, "evaluate", evaluated)
        rows = study(grouped_store, images, how).run(small_sane(18))
        return images, rows, seen, ran

    return run


@pytest.mark.parametrize("how", ["train", "validation"])
def test_statistics_are_computed_from_the_images_that_are_chosen(judged, how):
    images, rows, seen, _ = judged(how)
    chosen = getattr(images, how).images
    assert len(seen) >= len(METHODS) - 1, "all but the models of the zoo"
    assert all(torch.equal(one, chosen) for one in seen)
    assert not any(row["mended"] for row in rows), "what was decoded is not used"


@pytest.mark.parametrize("how", ["decoded", None])
def test_decoded_statistics_are_judged_as_they_are_decoded_and_mended_by_count(
    judged, monkeypatch, how
):
    decoded = []

    def spy(*args, **named):
        decoded.append(decode_models(*args, **named))
        return decoded[-1]

    monkeypatch.setattr("mzsane.evaluation.workshop.decode_models", spy)
    images, rows, seen, ran = judged(how)
    assert all(torch.equal(one, images.validation.images) for one in seen)
    assert seen, "baselines have nothing decoded"
    raw = decoded[0]  # of the gaussian, which comes before the selection
    (run,) = (one for one in ran if same_weights(one, raw))
    wrong = torch.zeros(2, dtype=torch.long)
    for name, tensor in raw.tensors.items():
        good = tensor > 0 if name.endswith("running_var") else torch.ones_like(tensor).bool()
        assert torch.equal(run.tensors[name][good], tensor[good]), name
        if name.endswith("running_var"):
            assert (run.tensors[name] > 0).all()
            wrong += (~good).sum(1)
    mine = [row["mended"] for row in rows if row["method"] == "gaussian"]
    assert mine == wrong.tolist()
    assert sum(mine) > 0, "an untrained autoencoder decodes negative variances"
    assert not any(row["mended"] for row in rows if row["method"] not in DECODED)
    (line,) = (line for line in summarise(rows) if line["method"] == "gaussian")
    assert line["mended"] == sum(mine)


def test_what_cannot_be_decoded_is_refused_before_anything_runs(resnet_store, noise_images):
    images = noise_images(resnet_store.architectures[0].architecture)
    with pytest.raises(ValueError, match="running statistics are no tokens") as caught:
        study(resnet_store, images, "decoded")
    assert "\n" not in str(caught.value)


def test_a_choice_for_networks_without_statistics_is_said(cnn_store, noise_images, caplog):
    study(cnn_store, noise_images(cnn_store.architectures[0].architecture), "train")
    (said,) = caplog.messages
    assert said.startswith("conditioning=train changes nothing for tiny")
