"""Permutations act by gathering, form a group, and travel as JSON."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mzsane.symmetry import Group, Place, Symmetry

SYMMETRY = Symmetry(
    (
        Group("a", 4, (Place("a", 0), Place("a.bias", 0), Place("b", 1, block=3))),
        Group("b", 5, (Place("b", 0), Place("b.count", 0), Place("c", 1, outer=2))),
    ),
    ("c: a reason",),
)
STATE = {
    "a": torch.randn(4, 2, 3, 3),
    "a.bias": torch.randn(4),
    "b": torch.randn(5, 12),
    "b.count": torch.arange(5),
    "c": torch.randn(2, 10),
    "untouched": torch.randn(3),
}

permutations = st.integers(0, 2**32 - 1).map(
    lambda seed: SYMMETRY.random(np.random.default_rng(seed))
)


def equal(a: dict, b: dict) -> bool:
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


@given(permutations)
def test_applying_the_inverse_restores_every_tensor(permutation):
    there = SYMMETRY.apply(STATE, permutation)
    assert equal(SYMMETRY.apply(there, SYMMETRY.inverse(permutation)), STATE)


@given(permutations, permutations)
def test_composing_is_applying_one_after_the_other(first, second):
    at_once = SYMMETRY.apply(STATE, SYMMETRY.compose(first, second))
    assert equal(at_once, SYMMETRY.apply(SYMMETRY.apply(STATE, first), second))


@given(permutations)
def test_composing_with_the_inverse_moves_nothing(permutation):
    for order in SYMMETRY.compose(permutation, SYMMETRY.inverse(permutation)):
        assert np.array_equal(order, np.arange(len(order)))


def test_entries_are_gathered_from_the_map():
    permuted = SYMMETRY.apply(STATE, (np.array([2, 0, 1, 3]), np.arange(5)))
    assert torch.equal(permuted["a.bias"], STATE["a.bias"][[2, 0, 1, 3]])
    assert torch.equal(permuted["b"][:, 0:3], STATE["b"][:, 6:9])
    assert torch.equal(permuted["b.count"], STATE["b.count"])


def test_axis_maps_move_blocks_and_repeats_whole():
    maps = SYMMETRY.axis_maps((np.array([1, 0, 2, 3]), np.array([4, 0, 1, 2, 3])))
    assert maps["b", 1].tolist() == [3, 4, 5, 0, 1, 2, 6, 7, 8, 9, 10, 11]
    assert maps["c", 1].tolist() == [4, 0, 1, 2, 3, 9, 5, 6, 7, 8]
    assert set(maps) == {("a", 0), ("a.bias", 0), ("b", 0), ("b", 1), ("b.count", 0), ("c", 1)}


def test_tensors_outside_the_groups_and_the_state_itself_stay():
    before = {name: tensor.clone() for name, tensor in STATE.items()}
    permuted = SYMMETRY.apply(STATE, SYMMETRY.random(np.random.default_rng(0)))
    assert permuted["untouched"] is STATE["untouched"]
    assert equal(STATE, before)


def test_the_identity_moves_nothing():
    assert equal(SYMMETRY.apply(STATE, SYMMETRY.identity()), STATE)


def test_random_orders_are_uniform():
    symmetry = Symmetry((Group("a", 3, (Place("a", 0),)),))
    rng = np.random.default_rng(0)
    counts = Counter(tuple(symmetry.random(rng)[0]) for _ in range(6000))
    assert len(counts) == 6
    assert max(abs(count - 1000) for count in counts.values()) < 130  # 4.5 standard deviations


def test_one_generator_state_gives_one_permutation():
    first, again = (SYMMETRY.random(np.random.default_rng(7)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_json_gives_back_the_same_symmetry():
    assert Symmetry.from_json(SYMMETRY.to_json()) == SYMMETRY


@pytest.mark.parametrize(
    ("change", "words"),
    [({"b": torch.zeros(5, 11)}, "axis 1 of b"), ({"b": torch.zeros(5)}, "axis 1 of b")],
)
def test_a_tensor_of_another_shape_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        SYMMETRY.apply(STATE | change, SYMMETRY.identity())


def test_a_missing_tensor_is_named():
    with pytest.raises(ValueError, match="c is missing"):
        SYMMETRY.apply({k: v for k, v in STATE.items() if k != "c"}, SYMMETRY.identity())
