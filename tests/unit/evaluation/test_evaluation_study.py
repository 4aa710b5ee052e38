"""A study holds every sampler against every baseline, and looks at test images only to report."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mzsane.evaluation import (
    COLUMNS,
    Ensembles,
    Finetuned,
    Neighbourhood,
    Refined,
    Study,
    ZeroShot,
    compare,
    frontiers,
    judging,
    read_rows,
    summarise,
    write_rows,
)
from mzsane.evaluation.baselines import NOISE_SCALES
from mzsane.evaluation.judging import Judge
from mzsane.evaluation.subjects import Subjects
from mzsane.images import Split
from mzsane.populations import Recipe, evaluate
from mzsane.sampling import KDE, Gaussian, Selection, encode_rows, stored_models

SAMPLERS = {"kde_token": KDE("token"), "gaussian": Gaussian()}


def study(store, images, **changes):
    settings = {"num_anchors": 4, "num_samples": 3, "workers": 1, "samplers": SAMPLERS}
    loaders = {name: lambda one=one: one for name, one in images.items()}
    return Study({store.name: store}, loaders, **(settings | changes))


def same(some, others):
    """Whether rows are equal, with NaN equal to NaN."""
    return repr(some) == repr(others)


def nan_split(split):
    return Split(torch.full_like(split.images, torch.nan), split.labels)


@pytest.fixture(scope="module")
def result(cnn_store, small_sane, noise_images):
    shelf = cnn_store.architectures[0]
    images = {"a": noise_images(shelf.architecture), "b": noise_images(shelf.architecture, 1)}
    return images, study(cnn_store, images).run(small_sane(shelf.layout.d_token), step=7)


def test_every_method_is_reported_on_every_image_set(result):
    images, rows = result
    assert list(rows[0]) == list(COLUMNS)
    counts = {}
    for row in rows:
        key = (row["method"], row["kind"], row["images"])
        counts[key] = counts.get(key, 0) + 1
    expected = {
        ("anchors", "zoo"): 4,
        ("anchors_best_validation", "zoo"): 1,
        ("random", "baseline"): 3,
        **{(f"anchor_noise_{scale:g}", "baseline"): 3 for scale in NOISE_SCALES},
        ("average", "baseline"): 1,
        ("average_permuted", "baseline"): 1,
        ("weight_kde", "baseline"): 3,
        ("weight_kde_joint", "baseline"): 3,
        ("weight_interpolate", "baseline"): 3,
        ("greedy_soup", "baseline"): 1,
        ("reconstructed", "reconstruction"): 4,
        ("heldout", "zoo"): 3,
        ("heldout_reconstructed", "reconstruction"): 3,
        ("kde_token", "sampler"): 3,
        ("gaussian", "sampler"): 3,
    }
    assert counts == {(*key, name): n for key, n in expected.items() for name in images}
    assert {(r["source"], r["protocol"], r["split"], r["anchors"], r["step"]) for r in rows} == {
        ("tiny", "zero_shot", "test", 4, 7)
    }


def test_strengths_of_noise_and_bandwidths_of_a_density_are_families(
    cnn_store, small_sane, noise_images
):
    images = noise_images(cnn_store.architectures[0].architecture)
    samplers = {"kde": KDE("joint", [0.2, 1, "scott"]), "gaussian": Gaussian()}
    found = study(cnn_store, {"a": images}, samplers=samplers).run(small_sane(cnn_store.d_token))
    families = {row["method"]: row["family"] for row in found}
    assert [m for m in families if families[m] == "kde"] == ["kde_0.2", "kde_1", "kde_scott"]
    assert len([m for m in families if families[m] == "anchor_noise"]) == 7
    assert families["gaussian"] == "gaussian"
    near, far = ([r["novelty"] for r in found if r["method"] == m] for m in ("kde_0.2", "kde_1"))
    assert near != far
    areas = {row["family"]: row for row in frontiers(found)}
    assert (areas["kde"]["n"], areas["gaussian"]["n"], areas["anchor_noise"]["n"]) == (9, 3, 21)
    assert {row["equal_n"] for row in areas.values()} == {3}
    alone = study(cnn_store, {"a": images}, samplers={"kde_1": KDE("joint", 1)}).run(
        small_sane(cnn_store.d_token)
    )
    drawn = ([r["loss"] for r in rows if r["method"] == "kde_1"] for rows in (found, alone))
    assert next(drawn) == next(drawn), "a draw depends on the name of the method only"


def test_accuracy_is_that_of_the_models_on_the_test_split(result, cnn_shelf):
    images, rows = result
    mine = [row for row in rows if row["method"] == "anchors" and row["images"] == "b"]
    rows_of = {f"{cnn_shelf.models[r]}@{cnn_shelf.epochs[r]}": r for r in range(len(cnn_shelf))}
    stored = stored_models(cnn_shelf, np.array([rows_of[row["nearest"]] for row in mine]))
    outcome = evaluate(stored, images["b"].test)
    assert [row["accuracy"] for row in mine] == pytest.approx(outcome.accuracy.tolist())
    assert [row["loss"] for row in mine] == pytest.approx(outcome.loss.tolist())


def test_anchors_are_copies_and_heldout_models_are_not(result):
    _, rows = result
    anchors = [row for row in rows if row["method"] == "anchors"]
    assert {(r["novelty"], r["agreement"], r["error_overlap"]) for r in anchors} == {(0, 1, 1)}
    assert all(row["novelty"] > 0.5 for row in rows if row["method"] == "heldout")


def test_equal_seeds_give_equal_rows_and_methods_do_not_disturb_each_other(
    result, cnn_store, small_sane
):
    images, rows = result
    model = small_sane(cnn_store.d_token)
    assert same(study(cnn_store, images).run(model, step=7), rows)
    fewer = study(cnn_store, images, samplers={"gaussian": Gaussian()}).run(model, step=7)
    assert same(fewer, [row for row in rows if row["method"] != "kde_token"])
    other = study(cnn_store, images, seed=1).run(model, step=7)
    assert [r["loss"] for r in other] != [r["loss"] for r in rows]


def test_zero_shot_never_touches_training_images_and_validation_only_to_select(
    result, cnn_store, small_sane
):
    images, rows = result
    poisoned = {
        name: replace(one, train=nan_split(one.train), validation=nan_split(one.validation))
        for name, one in images.items()
    }
    again = study(cnn_store, poisoned).run(small_sane(cnn_store.d_token), step=7)
    selecting = ("anchors_best_validation", "greedy_soup")
    assert same([r for r in again if r["method"] not in selecting],
                [r for r in rows if r["method"] not in selecting])  # fmt: skip


def test_conditioning_sees_validation_images_and_no_test_images(
    resnet_store, small_sane, noise_images, monkeypatch
):
    images = noise_images(resnet_store.architectures[0].architecture)
    means = []

    def spy(population, split, workers):
        means[-1].append(population.tensors["bn1.running_mean"].clone())
        return evaluate(population, split, workers)

    def rows_of(one):
        means.append([])
        methods = ["anchors", "average", "reconstructed", "gaussian"]
        return study(resnet_store, {"a": one}, methods=methods).run(small_sane(18))

    def shifted(split):
        return Split(split.images + 5, split.labels)

    monkeypatch.setattr(judging, "evaluate", spy)
    rows = rows_of(images)
    rows_of(replace(images, test=shifted(images.test)))
    others = rows_of(replace(images, validation=shifted(images.validation)))
    before, other_test, other_validation = (torch.cat(seen) for seen in means)
    assert torch.equal(before, other_test)
    assert not torch.equal(before, other_validation)
    for row, other in zip(rows, others, strict=True):
        kept = row["loss"] == other["loss"]
        assert kept is (row["kind"] == "zoo"), "stored models keep their own statistics"


def test_anchors_are_encoded_once_for_all_methods_protocols_and_images(
    cnn_store, small_sane, noise_images, monkeypatch
):
    images, encoded = noise_images(cnn_store.architectures[0].architecture), []

    def spy(model, shelf, rows, *rest):
        encoded.append(len(rows))
        return encode_rows(model, shelf, rows, *rest)

    monkeypatch.setattr("mzsane.evaluation.workshop.encode_rows", spy)
    protocols = {"zero_shot": ZeroShot(), "ensembles": Ensembles((2,))}
    changes = {"samplers": SAMPLERS | {"subsample": Selection(Gaussian(), 4, 2)}}
    again = study(cnn_store, {"a": images, "b": images}, protocols=protocols, **changes)
    again.run(small_sane(cnn_store.d_token))
    assert encoded == [4]


def test_predictions_of_training_models_are_made_once(
    cnn_store, small_sane, noise_images, monkeypatch
):
    images, asked = noise_images(cnn_store.architectures[0].architecture), []
    stored = judging.stored_models

    def spy(shelf, rows):
        asked.extend(rows.tolist())
        return stored(shelf, rows)

    monkeypatch.setattr(judging, "stored_models", spy)
    study(cnn_store, {"a": images}).run(small_sane(cnn_store.d_token))
    assert len(asked) == len(set(asked)) > 1


def test_training_models_are_those_the_autoencoder_saw(cnn_store, small_sane, noise_images):
    images = noise_images(cnn_store.architectures[0].architecture)
    shown = study(cnn_store, {"a": images}, num_models=2, epochs=[2]).run(
        small_sane(cnn_store.d_token)
    )
    shelf = cnn_store.architectures[0]
    allowed = {f"{shelf.models[row]}@2" for row in shelf.select("train", 2)}
    assert {row["nearest"] for row in shown} <= allowed
    assert {row["anchors"] for row in shown} == {2}


def test_image_sets_that_do_not_fit_are_left_out_and_none_is_said(
    cnn_store, small_sane, noise_images, caplog
):
    architecture = cnn_store.architectures[0].architecture
    fitting, large = (
        noise_images(architecture),
        noise_images(replace(architecture, input_shape=(1, 30, 30))),
    )
    more_classes = replace(fitting, classes=11)
    model = small_sane(cnn_store.d_token)
    rows = study(cnn_store, {"a": fitting, "b": large, "c": more_classes}).run(model)
    assert {row["images"] for row in rows} == {"a"}
    assert study(cnn_store, {"b": large}).run(model) == []
    assert "tiny: no image set has images" in caplog.text
    assert study(cnn_store, {"c": more_classes}).run(model) == []
    assert "c has 11 classes, which protocol=transfer can learn" in caplog.text


def test_an_architecture_nobody_can_build_is_left_out_and_this_is_said(
    resnet_store, small_sane, noise_images, caplog
):
    shelf = resnet_store.architectures[0]
    images = noise_images(shelf.architecture)
    unknown = replace(resnet_store, architectures=(replace(shelf, architecture=None),))
    assert study(unknown, {"a": images}).run(small_sane(18)) == []
    assert "does not say how to build its networks" in caplog.text


def test_progress_and_training_mode_and_the_table(cnn_store, small_sane, noise_images, tmp_path):
    told = []
    images = noise_images(cnn_store.architectures[0].architecture)
    model = small_sane(cnn_store.d_token).train()
    rows = study(cnn_store, {"a": images}).run(model, 0, lambda *stage: told.append(stage))
    assert model.training
    assert told[0] == ("evaluating: tiny, anchors", 1, 21)
    assert [done for _, done, _ in told] == list(range(1, 22))
    write_rows(tmp_path / "results.csv", rows)
    assert same(read_rows(tmp_path / "results.csv"), rows)
    assert len(summarise(rows)) == 21


@pytest.mark.parametrize(
    ("tuned", "rival"),
    [
        ({}, "refined_twin"),
        ({"finetuned": Finetuned(Recipe(batch_size=20, epochs=2))}, "finetuned"),
        ({"finetuned": Finetuned(Recipe(batch_size=20, epochs=2), [0, 2])}, "refined_twin"),
        ({"finetuned": Finetuned(Recipe(batch_size=20, epochs=3), [0, 2])}, "refined_twin"),
    ],
    ids=["alone", "same", "ends elsewhere", "other budget"],
)
def test_refinement_always_has_as_much_fine_tuning_of_the_same_models_beside_it(
    cnn_store, small_sane, noise_images, tuned, rival
):
    images = noise_images(cnn_store.architectures[0].architecture)  # 40: two steps an epoch
    protocols = {**tuned, "refined": Refined(Recipe(batch_size=20, epochs=2))}
    told, methods = [], ["gaussian", "random"]
    one = study(cnn_store, {"a": images}, protocols=protocols, methods=methods)
    rows = one.run(small_sane(cnn_store.d_token), progress=lambda *stage: told.append(stage))
    (line,) = (line for line in compare(rows) if line["with"] in ("finetuned", "refined_twin"))
    assert (line["method"], line["with"], line["epochs"], line["n"]) == ("gaussian", rival, 2, 3)
    mine, beside = (
        [row["loss"] for row in rows if row["protocol"] == name and row["method"] == "gaussian"]
        for name in ("refined", rival)
    )
    assert mine[:3] == beside[:3], "both begin with the same models"
    assert "random" not in {row["method"] for row in rows if row["protocol"] == "refined_twin"}
    assert told[-1][1] == told[-1][2]


def test_models_are_decoded_in_the_precision_that_is_asked_for(cnn_store, small_sane, noise_images):
    images = noise_images(cnn_store.architectures[0].architecture)
    model = small_sane(cnn_store.d_token)
    found = [
        {row["method"]: row["loss"] for row in study(cnn_store, {"a": images}, **how).run(model)}
        for how in ({}, {"precision": "float32"}, {"precision": "bfloat16"})
    ]
    assert found[0] == found[1]
    kinds = {name: found[0][name] == found[2][name] for name in found[0]}
    decoded = ("reconstructed", "heldout_reconstructed", "kde_token", "gaussian")
    assert [name for name, same in kinds.items() if not same] == list(decoded)


def test_global_random_state_is_untouched(cnn_store, small_sane, noise_images):
    images = noise_images(cnn_store.architectures[0].architecture)
    model = small_sane(cnn_store.d_token)
    before = torch.get_rng_state()
    study(cnn_store, {"a": images}).run(model)
    assert torch.equal(torch.get_rng_state(), before)


def test_agreement_and_overlap_equal_their_definitions(cnn_shelf, noise_images):
    images = noise_images(cnn_shelf.architecture)
    rows = cnn_shelf.select("train")
    held = stored_models(cnn_shelf, cnn_shelf.select("test"))
    near = Neighbourhood.of(cnn_shelf, rows)
    judge = Judge(near, 1, torch.device("cpu"))
    names = [f"{m}@{e}" for m, e in zip(cnn_shelf.models, cnn_shelf.epochs, strict=True)]
    ours = evaluate(held, images.test).predictions.tolist()
    labels = images.test.labels.tolist()
    for row in judge.rows(Subjects(held, near), held, images):
        near = stored_models(cnn_shelf, np.array([names.index(row["nearest"])]))
        theirs = evaluate(near, images.test).predictions[0].tolist()
        mine = ours[row["model"]]
        wrong = {i for i in range(40) if mine[i] != labels[i]}
        theirs_wrong = {i for i in range(40) if theirs[i] != labels[i]}
        assert row["agreement"] == pytest.approx(
            np.mean([a == b for a, b in zip(mine, theirs, strict=True)])
        )
        assert row["error_overlap"] == pytest.approx(
            len(wrong & theirs_wrong) / len(wrong | theirs_wrong)
        )
