import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.data import WindowPlan, window_index
from mzsane.symmetry import Group, Place, Symmetry
from mzsane.tokens import Layout

SIZES = {"cnn": [0, 64, 7], "mlp": [0, 5], "resnet": [0, 64, 288]}
CASES = [
    (kind, size, scheme, batchnorm)
    for kind, sizes in SIZES.items()
    for size in sizes
    for scheme in ("channel", "dense")
    for batchnorm in (("rows", "grouped", "ignore") if kind == "resnet" else ("rows",))
]


def entries(flat, index):
    return np.where(index >= 0, flat[index], 0)


@pytest.mark.parametrize(("kind", "size", "scheme", "batchnorm"), CASES)
def test_any_window_of_a_permuted_model_is_read_from_the_model_as_it_is(
    networks, kind, size, scheme, batchnorm
):
    state, symmetry = networks[kind]
    layout = Layout.of(state, size, scheme, batchnorm)
    plan, flat = WindowPlan(layout, symmetry), layout.flatten(state).numpy()

    @settings(max_examples=25, deadline=None)
    @given(st.data())
    def holds(data):
        start = data.draw(st.integers(0, layout.num_tokens - 1))
        stop = data.draw(st.integers(start + 1, layout.num_tokens))
        permutation = symmetry.random(np.random.default_rng(data.draw(st.integers(0, 2**32))))
        expected = layout.tokenize(symmetry.apply(state, permutation)).numpy()[start:stop]
        assert np.array_equal(entries(flat, plan.index(start, stop, permutation)), expected)

    holds()


@pytest.mark.parametrize(("kind", "size", "scheme", "batchnorm"), CASES)
def test_without_permutation_the_plan_is_the_layouts_own(networks, kind, size, scheme, batchnorm):
    state, symmetry = networks[kind]
    layout = Layout.of(state, size, scheme, batchnorm)
    whole = layout.index.numpy()
    assert np.array_equal(window_index(layout, 0, layout.num_tokens), whole)
    assert np.array_equal(
        window_index(layout, 0, layout.num_tokens, symmetry, symmetry.identity()), whole
    )
    middle = layout.num_tokens // 2
    assert np.array_equal(window_index(layout, middle, middle + 2), whole[middle : middle + 2])


@pytest.mark.parametrize("scheme", ["channel", "dense"])
def test_padding_stays_where_it_is_under_permutation(networks, scheme):
    state, symmetry = networks["cnn"]
    layout = Layout.of(state, 64, scheme)
    permutation = symmetry.random(np.random.default_rng(0))
    index = window_index(layout, 0, layout.num_tokens, symmetry, permutation)
    assert np.array_equal(index >= 0, layout.mask.numpy())


def test_a_permutation_moves_weights_of_a_real_network(networks):
    state, symmetry = networks["cnn"]
    layout = Layout.of(state)
    permutation = symmetry.random(np.random.default_rng(0))
    moved = window_index(layout, 0, layout.num_tokens, symmetry, permutation)
    assert (moved != layout.index.numpy()).mean() > 0.1
    assert np.array_equal(np.sort(moved, None), np.sort(layout.index.numpy(), None))


@pytest.mark.parametrize("scheme", ["channel", "dense"])
def test_bare_vectors_scalars_and_leading_axes_are_permuted_too(scheme):
    state = {
        "scale": torch.tensor(2.0),
        "token": torch.randn(1, 1, 6),
        "gain": torch.randn(6),
        "table": torch.randn(1, 3, 6),
        "weight": torch.randn(4, 6),
        "bias": torch.randn(4),
    }
    places = (Place("token", 2), Place("gain", 0), Place("table", 2), Place("weight", 1))
    rows = Group("weight", 4, (Place("weight", 0), Place("bias", 0)))
    symmetry = Symmetry((Group("token:2", 6, places), rows))
    for size in (0, 2, 4):
        layout = Layout.of(state, size, scheme)
        flat = layout.flatten(state).numpy()
        permutation = symmetry.random(np.random.default_rng(size))
        expected = layout.tokenize(symmetry.apply(state, permutation)).numpy()
        for start in range(layout.num_tokens):
            index = window_index(layout, start, layout.num_tokens, symmetry, permutation)
            assert np.array_equal(entries(flat, index), expected[start:])
