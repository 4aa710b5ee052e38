"""Protocols equal their formulas, give all methods one budget, and keep to the roles of images."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from mzsane.evaluation import (
    Ensembles,
    Finetuned,
    Neighbourhood,
    Refined,
    Study,
    Transfer,
    ZeroShot,
)
from mzsane.evaluation.judging import Judge
from mzsane.evaluation.methods import Method
from mzsane.evaluation.selected import best_on_validation, greedy_soup
from mzsane.evaluation.streams import stream_of
from mzsane.evaluation.subjects import Subjects
from mzsane.images import Split
from mzsane.populations import (
    Population,
    Recipe,
    evaluate,
    finetune,
    initialise,
    log_probabilities,
    renew_head,
)
from mzsane.sampling import KDE, Gaussian, Selection, stored_models

RECIPE = Recipe("adam", lr=1e-3, batch_size=16, epochs=2)
STREAM = functools.partial(stream_of, 0)
ALL = {
    "zero_shot": ZeroShot(),
    "finetuned": Finetuned(RECIPE),
    "refined": Refined(RECIPE),
    "ensembles": Ensembles((2,), 3),
    "transfer": Transfer(RECIPE),
}


@pytest.fixture(scope="module")
def near(cnn_shelf):
    return Neighbourhood.of(cnn_shelf, cnn_shelf.select("train"))


@pytest.fixture(scope="module")
def images(cnn_shelf, noise_images):
    return noise_images(cnn_shelf.architecture)


@pytest.fixture(scope="module")
def models(cnn_shelf):
    return stored_models(cnn_shelf, np.arange(4))


def ask(protocol, population, images, near, kind="sampler"):
    judge = Judge(near, 1, torch.device("cpu"))
    method = Method("some", kind, lambda images: population)
    return list(protocol.rows(method, Subjects(population, near), images, judge, STREAM))


def study(store, images, **changes):
    settings = {"num_anchors": 3, "num_samples": 2, "workers": 1, "protocols": ALL}
    settings["noise_scales"] = (0.2, 0.5)
    samplers = {"gaussian": Gaussian(), "subsample": Selection(KDE("joint"), 4, 2)}
    return Study({store.name: store}, {"a": lambda: images}, samplers, **(settings | changes))


def test_an_ensemble_answers_with_the_mean_of_the_softmax(models, images, near):
    rows = ask(Ensembles((2, 4), 3), models, images, near)
    assert [row["members"] for row in rows] == [2, 2, 2, 4]  # there is one ensemble of all
    thought, labels = log_probabilities(models, images.test).exp(), images.test.labels.tolist()
    right, loss = 0, 0.0
    for image, label in enumerate(labels):
        mean = [sum(float(thought[m, image, c]) for m in range(4)) / 4 for c in range(10)]
        right += mean.index(max(mean)) == label
        loss -= math.log(mean[label])
    assert rows[-1]["accuracy"] == pytest.approx(right / len(labels))
    assert rows[-1]["loss"] == pytest.approx(loss / len(labels), rel=1e-5)
    alone = ask(ZeroShot(), models, images, near)
    assert rows[-1]["novelty"] == pytest.approx(np.mean([row["novelty"] for row in alone]))


def test_ensembles_of_one_are_the_models(models, images, near):
    rows = ask(Ensembles((1,), 9), models, images, near)
    alone = [row["accuracy"] for row in ask(ZeroShot(), models, images, near)]
    assert sorted(row["accuracy"] for row in rows) == pytest.approx(sorted(alone))


def test_fine_tuning_reports_the_test_accuracy_after_each_epoch(models, images, near):
    rows = ask(Finetuned(RECIPE), models, images, near)
    seeds = STREAM("order of images").integers(2**31, size=4).tolist()
    moments = finetune(models, images.train, RECIPE, seeds, [0, 2, 4])  # 40 images, 16 a step
    for epoch, moment in enumerate(moments):
        found = [row for row in rows if row["epochs"] == epoch]
        expected = evaluate(moment, images.test)
        assert [row["accuracy"] for row in found] == pytest.approx(expected.accuracy.tolist())
        assert [row["loss"] for row in found] == pytest.approx(expected.loss.tolist())
    moved = Subjects(moments[2], near).novelty.distance.tolist()
    assert [row["novelty"] for row in rows if row["epochs"] == 2] == moved


def test_fine_tuning_can_be_told_in_steps(models, images, near):
    rows = ask(Finetuned(RECIPE, [0, 1, 3]), models[:1], images, near)
    assert [row["epochs"] for row in rows] == [0, 0.5, 1.5]
    with pytest.raises(ValueError, match="ascending"):
        Finetuned(RECIPE, [3, 1])


def test_transfer_begins_with_the_same_new_heads_for_every_method(models, near, noise_images):
    other = noise_images(replace(models.architecture, classes=3), seed=5)
    rows = ask(Transfer(RECIPE), models, other, near)
    assert {row["classes"] for row in rows} == {3}
    assert all(math.isnan(row["agreement"]) for row in rows)
    seeds = STREAM("heads").integers(2**31, size=4).tolist()
    renewed = renew_head(models, 3, seeds)
    expected = evaluate(renewed, other.test)
    assert [row["loss"] for row in rows[:4]] == pytest.approx(expected.loss.tolist())
    assert rows[0]["novelty"] == 0, "of the model as it was drawn"
    assert not ZeroShot().suits(models.architecture, other)


def poisoned(split):
    return Split(torch.full_like(split.images, torch.nan), split.labels)


def test_test_images_are_touched_by_no_selection_conditioning_or_training(
    cnn_store, images, small_sane, monkeypatch
):
    """Every model that is run on test images is the same whatever these are."""
    seen = []

    def spy(population, split, *rest):
        if split.images is now.test.images:
            seen[-1].append({k: t.clone() for k, t in population.tensors.items()})
        return evaluate(population, split, *rest)

    monkeypatch.setattr("mzsane.evaluation.judging.evaluate", spy)
    model = small_sane(cnn_store.d_token)
    for now in (images, replace(images, test=poisoned(images.test))):
        seen.append([])
        study(cnn_store, now).run(model)
    assert len(seen[0]) == len(seen[1]) > 30
    for one, other in zip(*seen, strict=True):
        assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_only_what_trains_touches_training_images(cnn_store, images, small_sane):
    model = small_sane(cnn_store.d_token)
    rows = study(cnn_store, images).run(model)
    again = study(cnn_store, replace(images, train=poisoned(images.train))).run(model)
    for row, other in zip(rows, again, strict=True):
        assert (repr(row) == repr(other)) is (row["epochs"] == 0), row


def test_refinement_spends_the_budget_of_fine_tuning_on_the_same_samples(
    cnn_store, images, small_sane
):
    rows = study(cnn_store, images).run(small_sane(cnn_store.d_token))
    refined = [row for row in rows if row["protocol"] == "refined"]
    assert {row["method"] for row in refined} == {"reconstructed", "gaussian", "subsample"}
    tuned = [r for r in rows if r["protocol"] == "finetuned" and r["method"] == "gaussian"]
    mine = [row for row in refined if row["method"] == "gaussian"]
    assert [r["loss"] for r in mine if not r["epochs"]] == [
        r["loss"] for r in tuned if not r["epochs"]
    ]
    assert {row["epochs"] for row in mine} == {0.0, 2.0}
    assert [r["loss"] for r in mine[:2]] != [r["loss"] for r in mine[2:]]


def test_broken_models_are_reported_and_never_members(models, images, near):
    tensors = {name: tensor.clone() for name, tensor in models.tensors.items()}
    tensors["module_list.11.bias"][1] = torch.nan
    broken = Population(models.architecture, tensors)
    rows = ask(ZeroShot(), broken, images, near)
    assert [row["finite"] for row in rows] == [1, 0, 1, 1]
    assert math.isnan(rows[1]["accuracy"])
    assert math.isinf(rows[1]["novelty"])
    others = ask(ZeroShot(), models[torch.tensor([0, 2, 3])], images, near)
    for column in ("diversity", "disagreement"):
        assert [r[column] for r in rows if r["finite"]] == pytest.approx(
            [r[column] for r in others]
        )
    assert [row["finite"] for row in ask(Ensembles((3,)), broken, images, near)] == [1]
    assert ask(Ensembles((4,)), broken, images, near) == []


def test_diversity_is_the_mean_over_all_pairs(models, images, near):
    rows = ask(ZeroShot(), models, images, near)
    flat = near.shelf.layout.flatten(models.tensors).double()
    answers = evaluate(models, images.test).predictions
    pairs = [(a, b) for a in range(4) for b in range(a)]
    distance = np.mean([float((flat[a] - flat[b]).norm()) for a, b in pairs]) / near.spacing
    differing = np.mean([float((answers[a] != answers[b]).double().mean()) for a, b in pairs])
    assert np.mean([row["diversity"] for row in rows]) == pytest.approx(distance)
    assert np.mean([row["disagreement"] for row in rows]) == pytest.approx(differing)


def test_ensembles_larger_than_the_samples_are_refused(cnn_store, images):
    with pytest.raises(ValueError, match="there are only 2 models of each method"):
        study(cnn_store, images, protocols={"ensembles": Ensembles((5,))})


def test_methods_are_chosen_by_name(cnn_store, images, small_sane):
    model, only = small_sane(cnn_store.d_token), {"zero_shot": ZeroShot()}
    chosen = study(cnn_store, images, protocols=only, methods=["random", "gaussian"]).run(model)
    assert {row["method"] for row in chosen} == {"random", "gaussian"}
    with pytest.raises(ValueError, match="there is no 'kde'; choose among anchors"):
        study(cnn_store, images, protocols=only, methods=["kde"]).run(model)


def test_the_soup_keeps_what_does_not_hurt(models, images):
    """Of a constructed case: the best anchor, one like it, and one that destroys the average."""
    labels = evaluate(models[:1], images.validation).predictions[0]
    validation = Split(images.validation.images, labels)  # which the first knows by heart
    good = models.tensors
    tensors = {name: torch.stack([t[0], t[0] + 1e-4 * t[0], -3 * t[1]]) for name, t in good.items()}
    anchors = Population(models.architecture, tensors)
    soup = greedy_soup(anchors, validation, validation, 1)
    for name, tensor in soup.tensors.items():
        torch.testing.assert_close(tensor[0], tensors[name][:2].mean(0))
    best = best_on_validation(anchors[torch.tensor([2, 0])], validation, 1)
    assert torch.equal(best.tensors["module_list.0.weight"][0], good["module_list.0.weight"][0])


def test_a_soup_of_strangers_is_the_best_of_them(models, images):
    strangers = initialise(models.architecture, range(3))
    labels = evaluate(strangers[1:2], images.validation).predictions[0]
    known = Split(images.validation.images, labels)
    soup = greedy_soup(strangers, known, None, 1)
    assert torch.equal(
        soup.tensors["module_list.0.weight"][0], strangers.tensors["module_list.0.weight"][1]
    )
