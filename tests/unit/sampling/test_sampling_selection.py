"""Selection keeps the best, in order, without holding what it drops."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.sampling import KDE, Gaussian, Sampler, Selection, encode_rows, select
from mzsane.sampling import selecting as selecting_module
from mzsane.sampling.selection import keep_best

LAYERS = torch.tensor([0, 0, 1])


def anchors(count=5, seed=0):
    return torch.randn(count, 3, 2, generator=torch.Generator().manual_seed(seed))


def level(latents):
    return latents.mean((1, 2))


def chosen(selection, score=level, together=1, seed=0, latents=None):
    latents = anchors() if latents is None else latents
    generator = torch.Generator().manual_seed(seed)
    return selection.select(latents, LAYERS, generator, score, together)


def test_the_best_survive_sorted_and_are_the_draws_of_the_sampler():
    found = chosen(Selection(Gaussian(), 40, 7))
    drawn = Gaussian().sample(anchors(), LAYERS, 40, torch.Generator().manual_seed(0))
    order = level(drawn).argsort(descending=True)[:7]
    assert found.indices.tolist() == order.tolist()
    assert torch.equal(found.latents, drawn[order])
    assert torch.equal(found.scores, level(drawn)[order])


@given(together=st.integers(1, 50), rounds=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_how_many_are_judged_at_a_time_changes_nothing(together, rounds):
    selection = Selection(KDE("token"), 23, 4, rounds)
    whole, parts = chosen(selection), chosen(selection, together=together)
    assert torch.equal(whole.latents, parts.latents)
    assert torch.equal(whole.indices, parts.indices)


def test_bootstrapping_draws_each_round_around_the_survivors_of_the_last():
    fitted = []

    class Spy(Sampler):
        def fit(self, latents, layers):
            fitted.append(latents)
            return KDE("joint", 0.3).fit(latents, layers)

    found = chosen(Selection(Spy(), 30, 5, 3))
    assert torch.equal(fitted[0], anchors())
    first = chosen(Selection(KDE("joint", 0.3), 30, 5, 1))
    assert torch.equal(fitted[1], first.latents)
    assert len(fitted) == 3
    assert found.scores.mean() > first.scores.mean()


@given(scores=st.lists(st.integers(0, 4), min_size=1, max_size=30), survivors=st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_of_equals_the_first_survive(scores, survivors):
    models = (torch.full((1, 3, 2), float(score)) for score in scores)
    found = keep_best(models, level, survivors)
    wanted = sorted(range(len(scores)), key=lambda at: (-scores[at], at))[:survivors]
    assert found.indices.tolist() == wanted


def test_what_does_not_survive_is_not_held():
    alive = weakref.WeakSet()

    def stream():
        for number in range(50):
            some = torch.full((2, 3, 2), float(number % 7))
            alive.add(some)
            yield some
            del some
            assert len(alive) <= 2  # this one and the one before

    assert len(keep_best(stream(), level, 3).scores) == 3


@pytest.mark.parametrize("candidates", [4, 12])
def test_decoded_candidates_are_let_go_however_many_there_are(
    resnet_shelf, small_sane, candidates, monkeypatch
):
    """One at a time: when a candidate is judged, no earlier one is in memory."""
    monkeypatch.setattr(selecting_module, "TOGETHER", 1)
    model = small_sane(resnet_shelf.layout.d_token)
    anchors = encode_rows(model, resnet_shelf, np.arange(3), 16, 2)
    alive, largest = weakref.WeakSet(), []

    def judge(population):
        alive.update(population.tensors.values())
        largest.append(len(alive))
        return population.tensors["conv1.weight"].flatten(1).sum(1)

    generator = torch.Generator().manual_seed(0)
    select(model, anchors, Selection(Gaussian(), candidates, 2), judge, generator, 16, 2)
    assert len(largest) == candidates
    assert max(largest) == len(resnet_shelf.layout.shapes)


def test_a_candidate_without_a_score_never_survives_and_is_counted():
    def half(latents):
        scores = level(latents)
        return torch.where(scores > 0, torch.nan, scores)

    found = chosen(Selection(Gaussian(), 40, 10, 2), half)
    assert (found.scores <= 0).all()
    assert found.broken > 5
    with pytest.raises(ValueError, match="none of the candidates gives numbers"):
        chosen(Selection(Gaussian(), 4, 2), lambda latents: level(latents) * torch.nan)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((5, 6, 1), "more survivors than candidates"),
        ((5, 0, 1), "at least 1"),
        ((0, 0, 1), "at least 1"),
        ((5, 2, 0), "at least 1"),
    ],
)
def test_a_selection_of_nothing_is_refused_at_once(numbers, message):
    with pytest.raises(ValueError, match=message):
        Selection(Gaussian(), *numbers)
