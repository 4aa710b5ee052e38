"""Anchors are drawn as promised, and generated models are whole models of their architecture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.architectures import Architecture
from mzsane.models import Sane
from mzsane.populations import Population
from mzsane.sampling import (
    KDE,
    Gaussian,
    Interpolate,
    Selection,
    are_finite,
    choose_rows,
    conditioning_of,
    decode,
    decode_models,
    encode,
    encode_rows,
    encode_states,
    generate,
    mend,
    reconstruct,
    select,
    shared,
    stored_models,
    warn_if_idle,
)
from mzsane.sampling import anchors as anchors_module
from mzsane.tokens import Layout

CNN = Architecture("mzsane.architectures.CNN", {"width": [4, 4, 4]}, (1, 20, 20), 3)
RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 1}, (1, 8, 8), 3)


class Copy(Sane):
    """An autoencoder without loss: latents are the tokens."""

    def encode(self, values, positions, real=None):
        return values

    decode = encode


def copy(shelf):
    return Copy(shelf.layout.d_token, 16, 2, 1, shelf.layout.d_token, 16, "sinusoidal")


def equal(population, shelf, rows):
    stored = shelf.states(np.asarray(rows))
    assert population.tensors.keys() == stored.keys()
    return all(torch.equal(population.tensors[name], stored[name]) for name in stored)


@given(count=st.integers(1, 40), seed=st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_every_model_is_drawn_once_before_any_twice(cnn_shelf, count, seed):
    candidates = cnn_shelf.select("train")
    rows = choose_rows(cnn_shelf, candidates, count, np.random.default_rng(seed))
    assert len(rows) == min(count, len(candidates))
    assert (np.diff(rows) > 0).all()
    assert set(rows) <= set(candidates)
    models = len(set(cnn_shelf.models[candidates]))
    assert len(set(cnn_shelf.models[rows])) == min(count, models)


def test_the_seed_decides_which_anchors_are_drawn(cnn_shelf):
    candidates = cnn_shelf.select("train")
    first, again = (
        [tuple(choose_rows(cnn_shelf, candidates, 3, np.random.default_rng(s))) for s in range(9)]
        for _ in range(2)
    )
    assert first == again
    assert len(set(first)) > 3


def test_no_anchors_left_is_one_sentence(cnn_shelf):
    with pytest.raises(ValueError, match="tiny: no anchors left after filtering") as caught:
        choose_rows(cnn_shelf, np.array([], dtype=np.int64), 5, np.random.default_rng(0))
    assert "\n" not in str(caught.value)


def test_an_autoencoder_for_other_tokens_is_refused(cnn_shelf):
    other = Sane(7, 16, 2, 1, 5, 16, "sinusoidal")
    with pytest.raises(ValueError, match=r"tokens\.size=7"):
        encode_rows(other, cnn_shelf, np.array([0]), 16, 2)


def test_encoding_anchors_in_groups_changes_nothing(cnn_shelf, small_sane, monkeypatch):
    model, rows = small_sane(cnn_shelf.layout.d_token), np.arange(7)
    whole = encode_rows(model, cnn_shelf, rows, 16, 2)
    monkeypatch.setattr(anchors_module, "_together", lambda layout: 2)
    parts = encode_rows(model, cnn_shelf, rows, 16, 2)
    torch.testing.assert_close(whole.latents, parts.latents)
    assert torch.equal(whole.layers, cnn_shelf.layout.positions[:, 1])


@pytest.mark.parametrize("shelf", ["cnn_shelf", "resnet_shelf"])
def test_an_autoencoder_without_loss_gives_back_the_stored_models(shelf, request):
    shelf = request.getfixturevalue(shelf)
    rows = np.arange(3)
    anchors = encode_rows(copy(shelf), shelf, rows, 16, 2)
    assert equal(reconstruct(copy(shelf), anchors, 16, 2), shelf, rows)
    assert equal(stored_models(shelf, rows), shelf, rows)


def test_a_density_without_width_around_one_anchor_is_that_anchor(cnn_shelf):
    model = copy(cnn_shelf)
    anchors = encode_rows(model, cnn_shelf, np.array([3]), 16, 2)
    generator = torch.Generator().manual_seed(0)
    drawn = generate(model, anchors, KDE("joint", 0.0), 4, generator, 16, 2)
    assert equal(drawn, cnn_shelf, [3, 3, 3, 3])
    assert drawn.architecture == cnn_shelf.architecture


def test_what_is_no_token_is_shared_by_all_that_is_drawn(resnet_shelf):
    model, rows = copy(resnet_shelf), np.array([0, 2, 5])
    anchors = encode_rows(model, resnet_shelf, rows, 16, 2)
    generator = torch.Generator().manual_seed(0)
    drawn = generate(model, anchors, KDE("token", 0.1), 4, generator, 16, 2).tensors
    stored = resnet_shelf.states(rows)
    for model_number in range(4):
        mean = drawn["bn1.running_var"][model_number]
        torch.testing.assert_close(mean, stored["bn1.running_var"].mean(0))
        count = drawn["bn1.num_batches_tracked"][model_number]
        assert torch.equal(count, stored["bn1.num_batches_tracked"][0])
    assert (drawn["bn1.weight"][0] != drawn["bn1.weight"][1]).any()


def test_models_can_be_drawn_a_few_at_a_time(cnn_shelf, small_sane):
    model = small_sane(cnn_shelf.layout.d_token)
    anchors = encode_rows(model, cnn_shelf, np.arange(6), 16, 2)
    whole = generate(model, anchors, Interpolate(3), 5, torch.Generator().manual_seed(1), 16, 2)
    generator = torch.Generator().manual_seed(1)
    parts = [generate(model, anchors, Interpolate(3), n, generator, 16, 2) for n in (2, 3)]
    for name, tensor in whole.tensors.items():
        torch.testing.assert_close(torch.cat([part.tensors[name] for part in parts]), tensor)


def test_shared_tensors_are_no_views_of_each_other():
    mean = shared({"buffer": torch.tensor([[1.0], [3.0]]), "count": torch.tensor([4, 7])}, 2)
    assert mean["buffer"].tolist() == [[2.0], [2.0]]
    assert mean["count"].tolist() == [4, 4]
    mean["buffer"][0] = 9
    assert mean["buffer"][1].item() == 2.0


def test_models_that_are_in_no_store_are_anchors_too(cnn_shelf, small_sane):
    model, rows = small_sane(cnn_shelf.layout.d_token), np.array([1, 4])
    stored = encode_rows(model, cnn_shelf, rows, 16, 2)
    loose = encode_states(
        model, cnn_shelf.layout, cnn_shelf.states(rows), ["a@1", "b@2"], CNN, "mine", 16, 2
    )
    assert torch.equal(loose.latents, stored.latents)
    assert loose.names == ("a@1", "b@2")
    assert stored.names[0] == f"{cnn_shelf.models[1]}@{cnn_shelf.epochs[1]}"


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_an_anchor_with_weights_that_are_no_numbers_is_named(cnn_shelf, small_sane, bad):
    states = cnn_shelf.states(np.array([1, 4]))
    next(iter(states.values()))[1].view(-1)[0] = bad
    with pytest.raises(ValueError, match="mine: the anchor b@2 has weights that are NaN"):
        encode_states(small_sane(20), cnn_shelf.layout, states, ["a@1", "b@2"], CNN, "mine", 16, 2)


def grouped_layout(shelf):
    return Layout(shelf.layout.shapes, shelf.layout.size, batchnorm="grouped")


def test_running_statistics_that_are_tokens_are_decoded(resnet_shelf):
    layout, states = grouped_layout(resnet_shelf), resnet_shelf.states(np.arange(3))
    model = copy(resnet_shelf)
    found = encode_states(model, layout, states, ["a", "b", "c"], RESNET, "mine", 16, 2)
    again = reconstruct(model, found, 16, 2)
    assert all(torch.equal(again.tensors[name], states[name]) for name in states)
    joint = generate(model, found, KDE("joint", 0), 4, torch.Generator().manual_seed(0), 16, 2)
    assert len(joint.tensors["bn1.running_var"].unique(dim=0)) > 1
    assert conditioning_of(None, layout) == "decoded"
    assert conditioning_of(None, resnet_shelf.layout) == "validation"
    with pytest.raises(ValueError, match="no tokens of this autoencoder"):
        conditioning_of("decoded", resnet_shelf.layout)


def test_variances_of_networks_without_any_need_no_images(cnn_shelf):
    assert conditioning_of("train", cnn_shelf.layout) == "none"
    with pytest.raises(ValueError, match="choose from decoded, train, validation, none"):
        conditioning_of("test", cnn_shelf.layout)


def test_negative_variances_become_small_ones_and_others_stay():
    tensors = {
        "bn.running_var": torch.tensor([[4.0, -0.5, 0.0, 1e-8], [1.0, 2.0, 3.0, 4.0]]),
        "bn.running_mean": torch.tensor([[-1.0], [-2.0]]),
    }
    layout = Layout.of(RESNET.build(0).state_dict(), 18, batchnorm="grouped")
    (found, count) = mend(Population(RESNET, tensors), layout)
    mean = 0.01 * 4.5 / 4
    variances = found.tensors["bn.running_var"]
    torch.testing.assert_close(variances[0], torch.tensor([4.0, mean, mean, 1e-8]))
    assert torch.equal(variances[1], tensors["bn.running_var"][1])
    assert torch.equal(found.tensors["bn.running_mean"], tensors["bn.running_mean"])
    assert count.tolist() == [2, 0]
    rows = replace(layout, batchnorm="rows")
    assert mend(Population(RESNET, tensors), rows).variances.tolist() == [0, 0], "not decoded"


def test_models_are_generated_ready_to_run(resnet_shelf, small_sane):
    layout, states = grouped_layout(resnet_shelf), resnet_shelf.states(np.arange(3))
    model = small_sane(18)
    anchors = encode_states(model, layout, states, ["a", "b", "c"], RESNET, "mine", 16, 2)
    settings = (KDE("token"), 3, torch.Generator().manual_seed(0), 16, 2)
    drawn = generate(model, anchors, *settings)
    variances = [t for name, t in drawn.tensors.items() if name.endswith("running_var")]
    assert all((one > 0).all() for one in variances)
    raw = reconstruct(model, anchors, 16, 2)
    assert mend(raw, layout).variances.sum() > 0, "an untrained autoencoder decodes such ones"


@pytest.mark.parametrize("wanted", ["decoded", "train", "validation"])
def test_a_choice_that_changes_nothing_is_said(cnn_shelf, resnet_shelf, wanted, caplog):
    warn_if_idle(wanted, resnet_shelf.layout, "residual")
    warn_if_idle(None, cnn_shelf.layout, "tiny")
    warn_if_idle("none", cnn_shelf.layout, "tiny")
    assert not caplog.messages
    warn_if_idle(wanted, cnn_shelf.layout, "tiny")
    (said,) = caplog.messages
    assert said.startswith(f"conditioning={wanted} changes nothing for tiny")


def test_models_with_a_weight_that_is_no_number_are_told(cnn_shelf):
    population = stored_models(cnn_shelf, np.arange(4))
    first, *_, last = population.tensors
    population.tensors[first][1].view(-1)[3] = torch.nan
    population.tensors[last][2].view(-1)[0] = -torch.inf
    assert are_finite(population).tolist() == [True, False, False, True]


def test_counters_do_not_make_a_model_broken(resnet_shelf):
    assert are_finite(stored_models(resnet_shelf, np.arange(2))).all()


def test_half_precision_is_near_and_gives_float32(cnn_shelf, small_sane):
    model, layout = small_sane(20), cnn_shelf.layout
    tokens = layout.tokenize(cnn_shelf.states(np.arange(3)))
    for step, values in ((encode, tokens), (decode, torch.randn(3, layout.num_tokens, 5))):
        whole = step(model, values, layout.positions, 16, 2)
        half = step(model, values, layout.positions, 16, 2, "bfloat16")
        assert half.dtype == torch.float32
        assert not torch.equal(half, whole)
        assert (half - whole).abs().max() < 0.05 * whole.abs().max()


def test_models_are_made_in_half_precision_where_that_is_asked_for(cnn_shelf, small_sane):
    model = small_sane(20)
    anchors = encode_rows(model, cnn_shelf, np.arange(3), 16, 2)
    half_anchors = encode_rows(model, cnn_shelf, np.arange(3), 16, 2, "bfloat16")
    settings = (KDE("joint"), 2)

    def generated(precision):
        generator = torch.Generator().manual_seed(0)
        return generate(model, anchors, *settings, generator, 16, 2, precision)

    made = {
        "anchors": (half_anchors.latents, anchors.latents),
        "decoded": tuple(
            cnn_shelf.layout.flatten(
                decode_models(model, anchors.latents, anchors, 16, 2, p).tensors
            )
            for p in ("bfloat16", "float32")
        ),
        "generated": tuple(
            cnn_shelf.layout.flatten(generated(p).tensors) for p in ("bfloat16", "float32")
        ),
    }
    for half, whole in made.values():
        assert not torch.equal(half, whole)
        assert (half - whole).abs().max() < 0.05 * whole.abs().max()


def test_selection_judges_decoded_models_and_never_broken_ones(cnn_shelf, small_sane):
    model = small_sane(20)
    anchors = encode_rows(model, cnn_shelf, np.arange(6), 16, 2)
    judged = []

    def judge(population):
        assert isinstance(population, Population)
        judged.append(len(population))
        return sum(t.flatten(1).sum(1) for t in population.tensors.values())

    found = select(
        model, anchors, Selection(Gaussian(), 12, 3), judge, torch.Generator().manual_seed(0), 16, 2
    )
    again = judge(decode_models(model, found.latents, anchors, 16, 2))
    torch.testing.assert_close(again, found.scores)
    assert (found.scores.diff() <= 0).all()
    with torch.no_grad():
        model.unembed.bias[0] = torch.nan
    judged.clear()
    with pytest.raises(ValueError, match="none of the candidates"):
        select(model, anchors, Selection(Gaussian(), 4, 2), judge, torch.Generator(), 16, 2)
    assert not judged
