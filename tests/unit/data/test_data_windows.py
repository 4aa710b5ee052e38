import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.data import Window, WindowPlan
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


def read(plan, flat, start, stop, orders=None, padding=0):
    out = np.full((stop - start, plan.d_token), 99, flat.dtype)
    plan.read(flat[None], [Window(0, start, out)], stacked(orders), padding)
    return out


def stacked(permutation):
    """As for one window; from a whole permutation or from some of its groups."""
    if permutation is None:
        return None
    named = permutation if isinstance(permutation, dict) else dict(enumerate(permutation))
    return {group: order[None] for group, order in named.items()}


def places(layout, symmetry=None, orders=None):
    """Where each entry of the tokens comes from, -1 for padding."""
    flat = np.arange(layout.parameters)
    return read(WindowPlan(layout, symmetry), flat, 0, layout.num_tokens, orders, padding=-1)


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
        assert np.array_equal(read(plan, flat, start, stop, permutation), expected)

    holds()


@pytest.mark.parametrize(("kind", "size", "scheme", "batchnorm"), CASES)
def test_without_permutation_the_plan_is_the_layouts_own(networks, kind, size, scheme, batchnorm):
    state, symmetry = networks[kind]
    layout = Layout.of(state, size, scheme, batchnorm)
    whole = layout.index.numpy()
    assert np.array_equal(places(layout), whole)
    assert np.array_equal(places(layout, symmetry, symmetry.identity()), whole)
    plan, flat, middle = WindowPlan(layout), np.arange(layout.parameters), layout.num_tokens // 2
    found = read(plan, flat, middle, middle + 2, padding=-1)
    assert np.array_equal(found, whole[middle : middle + 2])


@pytest.mark.parametrize("scheme", ["channel", "dense"])
def test_padding_stays_where_it_is_under_permutation(networks, scheme):
    state, symmetry = networks["cnn"]
    layout = Layout.of(state, 64, scheme)
    permutation = symmetry.random(np.random.default_rng(0))
    index = places(layout, symmetry, permutation)
    assert np.array_equal(index >= 0, layout.mask.numpy())


def test_a_permutation_moves_weights_of_a_real_network(networks):
    state, symmetry = networks["cnn"]
    layout = Layout.of(state)
    permutation = symmetry.random(np.random.default_rng(0))
    moved = places(layout, symmetry, permutation)
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
            found = read(WindowPlan(layout, symmetry), flat, start, layout.num_tokens, permutation)
            assert np.array_equal(found, expected[start:])


@pytest.mark.parametrize("kind", SIZES)
def test_groups_that_do_not_act_on_a_window_change_nothing_in_it(networks, kind):
    state, symmetry = networks[kind]
    layout = Layout.of(state, 7)
    plan, flat = WindowPlan(layout, symmetry), layout.flatten(state).numpy()
    permutation = symmetry.random(np.random.default_rng(0))
    named = 0
    for start in range(0, layout.num_tokens - 3, max(layout.num_tokens // 20, 1)):
        acting = plan.groups(start, start + 3)
        orders = {at: permutation[at] for at in acting}
        found = read(plan, flat, start, start + 3, orders)
        assert np.array_equal(found, read(plan, flat, start, start + 3, permutation))
        named += len(acting)
    assert named > 0


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_windows_are_converted_to_the_dtype_that_is_asked_for(networks, dtype):
    state, symmetry = networks["cnn"]
    layout = Layout.of(state)
    flat = layout.flatten(state).numpy().astype(dtype)
    out = np.empty((5, layout.d_token), np.float32)
    WindowPlan(layout, symmetry).read(flat[None], [Window(0, 3, out)])
    expected = np.where(layout.index >= 0, flat[layout.index], 0)[3:8].astype(np.float32)
    assert np.array_equal(out, expected)
