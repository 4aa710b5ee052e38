"""Weight matching finds permutations back, never makes things worse, and repeats."""

from itertools import permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mzsane.architectures import CNN, MLP, Architecture, ResNet18
from mzsane.symmetry import Group, Matcher, Place, Symmetry, match, similarity, trace

CNN_SYMMETRY = trace(CNN(), torch.zeros(1, 1, 28, 28))
ARCHITECTURE = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
NETWORKS = {
    "cnn": (CNN, (1, 28, 28)),
    "resnet": (lambda: ResNet18(width=4), (3, 16, 16)),
    "mlp": (lambda: MLP((12,)), (12,)),
}
seeds = st.integers(0, 2**31)


def cnn(seed: int) -> dict:
    return ARCHITECTURE.build(seed).state_dict()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_known_permutation_is_undone_exactly(name):
    build, shape = NETWORKS[name]
    network = build()
    symmetry = trace(network, torch.zeros(1, *shape))
    reference = network.state_dict()
    shuffled = symmetry.apply(reference, symmetry.random(np.random.default_rng(1)))
    restored = symmetry.apply(shuffled, match(shuffled, reference, symmetry))
    assert all(torch.equal(restored[tensor], reference[tensor]) for tensor in reference)


@pytest.mark.parametrize(("name", "shape"), [("ViT", (1, 28, 28)), ("CNN3", (3, 32, 32))])
@pytest.mark.parametrize("seed", range(3))
def test_a_permutation_of_normal_weights_is_undone(name, shape, seed):
    network = Architecture(f"mzsane.architectures.{name}", {}, shape, 10).build(0)
    symmetry = trace(network, torch.zeros(2, *shape))
    generator = torch.Generator().manual_seed(seed)
    reference = {
        tensor: torch.randn(value.shape, generator=generator)
        for tensor, value in network.state_dict().items()
    }
    shuffled = symmetry.apply(reference, symmetry.random(np.random.default_rng(seed)))
    restored = symmetry.apply(shuffled, match(shuffled, reference, symmetry))
    assert all(torch.equal(restored[tensor], reference[tensor]) for tensor in reference)


@given(seeds, seeds, seeds)
@settings(max_examples=30, deadline=None)
def test_matching_never_lowers_the_similarity(one, other, order):
    state, reference = cnn(one), cnn(other)
    aligned = CNN_SYMMETRY.apply(state, match(state, reference, CNN_SYMMETRY, seed=order))
    before, after = (similarity(s, reference, CNN_SYMMETRY) for s in (state, aligned))
    assert after >= before - 1e-5 * abs(before)


def test_a_first_look_that_misleads_is_given_up():
    rows, columns = Group("a", 2, (Place("a", 0), Place("b", 0))), Group("b", 2, (Place("b", 1),))
    symmetry = Symmetry((rows, columns))
    reference = {"a": torch.tensor([1.0, 2.0]), "b": torch.diag(torch.tensor([9.0, 5.0]))}
    state = reference | {"a": torch.tensor([2.0, 1.0])}  # alone it says: exchange the two
    for order in match(state, reference, symmetry):
        assert np.array_equal(order, [0, 1])


def test_matching_makes_independent_models_more_similar():
    state, reference = cnn(0), cnn(1)
    aligned = CNN_SYMMETRY.apply(state, match(state, reference, CNN_SYMMETRY))
    distance = sum(float((state[t] - reference[t]).square().sum()) for t in state)
    after = sum(float((aligned[t] - reference[t]).square().sum()) for t in state)
    gained = similarity(aligned, reference, CNN_SYMMETRY) - similarity(
        state, reference, CNN_SYMMETRY
    )
    assert gained > 0
    assert distance - after == pytest.approx(2 * gained, rel=1e-3)


def test_the_best_of_all_orders_is_found_for_one_group():
    symmetry = trace(MLP((3,), width=(5,)), torch.zeros(1, 3))
    state, reference = (MLP((3,), width=(5,)).state_dict() for _ in range(2))
    found = symmetry.apply(state, match(state, reference, symmetry))
    every = (symmetry.apply(state, (np.array(order),)) for order in permutations(range(5)))
    best = max(similarity(s, reference, symmetry) for s in every)
    assert similarity(found, reference, symmetry) == pytest.approx(best, rel=1e-6)


def test_no_single_group_can_be_improved_afterwards():
    symmetry = trace(MLP((3,), width=(4, 3)), torch.zeros(1, 3))
    state, reference = (MLP((3,), width=(4, 3)).state_dict() for _ in range(2))
    found = match(state, reference, symmetry)
    value = similarity(symmetry.apply(state, found), reference, symmetry)
    for group, order in product((0, 1), permutations(range(4))):
        changed = list(found)
        changed[group] = np.array([i for i in order if i < symmetry.groups[group].size])
        moved = symmetry.apply(state, tuple(changed))
        assert similarity(moved, reference, symmetry) <= value + 1e-5


def test_the_same_seed_gives_the_same_permutation():
    matcher = Matcher(cnn(0), CNN_SYMMETRY)
    first, again = (matcher.match(cnn(1), seed=5) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_matcher_keeps_nothing_of_the_models_before():
    matcher = Matcher(cnn(0), CNN_SYMMETRY)
    matcher.match(cnn(2))
    fresh = match(cnn(1), cnn(0), CNN_SYMMETRY)
    assert all(np.array_equal(a, b) for a, b in zip(matcher.match(cnn(1)), fresh, strict=True))


def test_matching_a_model_to_itself_moves_nothing():
    found = match(cnn(0), cnn(0), CNN_SYMMETRY)
    assert all(np.array_equal(a, b) for a, b in zip(found, CNN_SYMMETRY.identity(), strict=True))


def test_statistics_and_counters_count_for_nothing():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    symmetry = trace(network, torch.zeros(2, 3))
    reference = network.state_dict()
    state = reference | {
        "1.running_mean": torch.randn(4) * 100,
        "1.running_var": torch.rand(4) * 100,
        "1.num_batches_tracked": torch.tensor(9),
    }
    assert "1.running_mean" in symmetry.tensors
    assert similarity(state, reference, symmetry) == similarity(reference, reference, symmetry)
    found = match(state, reference, symmetry)
    assert np.array_equal(found[0], np.arange(4))


@given(seeds)
@settings(max_examples=20, deadline=None)
def test_a_group_on_both_axes_of_a_tensor_is_never_made_worse(seed):
    symmetry = Symmetry((Group("w", 6, (Place("w", 0), Place("w", 1), Place("b", 0))),))
    generator = torch.Generator().manual_seed(seed)
    state, reference = (
        {"w": torch.randn(6, 6, generator=generator), "b": torch.randn(6, generator=generator)}
        for _ in range(2)
    )
    aligned = symmetry.apply(state, match(state, reference, symmetry))
    before, after = (similarity(s, reference, symmetry) for s in (state, aligned))
    assert after >= before - 1e-5


def test_half_precision_and_double_models_match_alike():
    state, reference = cnn(1), cnn(0)
    found = match(state, reference, CNN_SYMMETRY)
    double = match({k: v.double() for k, v in state.items()}, reference, CNN_SYMMETRY)
    assert all(np.array_equal(a, b) for a, b in zip(found, double, strict=True))
    rounded = {k: v.bfloat16() for k, v in reference.items()}
    for order in match(rounded, reference, CNN_SYMMETRY):
        assert np.array_equal(order, np.arange(len(order)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"module_list.0.bias": torch.full((8,), torch.nan)}, "NaN"),
        ({"module_list.0.bias": torch.ones(9)}, "axis 0 of module_list.0.bias"),
    ],
)
def test_a_broken_model_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        match(cnn(0) | change, cnn(1), CNN_SYMMETRY)


def test_a_reference_without_a_tensor_is_refused():
    with pytest.raises(ValueError, match=r"module_list\.0\.weight is missing"):
        Matcher({}, CNN_SYMMETRY)
