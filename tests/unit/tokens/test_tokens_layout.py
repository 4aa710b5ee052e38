"""A layout is lossless, agrees with itself, and refuses what it was not made for."""

import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mzsane.tokens import Layout

FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.float8_e4m3fn]
DTYPES = [*FLOATS, torch.int64, torch.uint8, torch.bool, torch.complex64]
MODULES = ["", "a.", "a.weight_head.", "b.1."]
PARTS = ["weight", "bias", "in_proj_weight", "in_proj_bias", "cls_token", "pos_embed", "gamma"]
PARTS += ["weight_g", "weight_v", "parametrizations.weight.original0", "log_sigma2"]
PARTS += ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "weight_hr_l0_reverse", "bias_k"]
BUFFERS = ["running_mean", "running_var", "num_batches_tracked"]

NORMALISATION = ["weight", "bias", "running_mean", "running_var"]

names = st.sampled_from([m + p for m in MODULES for p in PARTS + BUFFERS])
shapes = st.lists(st.integers(0, 3), max_size=5).map(tuple)
bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def random_tensor(shape, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    if dtype is torch.bool:
        return values > 0
    return (values * 10).abs().to(dtype) if dtype is torch.uint8 else (values * 10).to(dtype)


@st.composite
def normalisations(draw):
    """What BatchNorm and InstanceNorm leave: one shape; with and without scale, shift or mean."""
    module, channels = draw(st.sampled_from(MODULES)), draw(st.integers(0, 4))
    parts = draw(st.lists(st.sampled_from(NORMALISATION), unique=True))
    dtypes = st.sampled_from(FLOATS)
    return {module + part: ((channels,), draw(dtypes)) for part in parts}


@st.composite
def states(draw, models=()):
    entries = draw(st.dictionaries(names, st.tuples(shapes, st.sampled_from(DTYPES)), max_size=10))
    entries |= draw(normalisations())
    seed = draw(st.integers(0, 2**20))
    return {
        name: random_tensor((*models, *shape), dtype, seed + i)
        for i, (name, (shape, dtype)) in enumerate(entries.items())
    }


def assert_same_bits(found, expected):
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        as_bits = bits[tensor.element_size()]
        assert torch.equal(found[name].view(as_bits), tensor.view(as_bits))


def first_model(stack):
    return {name: tensor[0] for name, tensor in stack.items()}


schemes = st.sampled_from(["channel", "dense"])
batchnorms = st.sampled_from(["rows", "grouped", "ignore"])


@settings(deadline=None)
@given(states(), st.integers(0, 9), schemes, batchnorms)
def test_every_state_dict_survives_tokens_bit_for_bit(state, size, scheme, batchnorm):
    layout = Layout.of(state, size, scheme, batchnorm)
    assert_same_bits(layout.detokenize(layout.tokenize(state), layout.carry(state)), state)


@settings(deadline=None)
@given(states())
def test_every_state_dict_survives_the_flat_vector_bit_for_bit(state):
    layout = Layout.of(state)
    integers = {name: t for name, t in state.items() if not t.is_floating_point()}
    assert_same_bits(layout.unflatten(layout.flatten(state), integers), state)


SPECIAL = [float("inf"), float("-inf"), float("nan"), -0.0, 1e-40, 5e-324, 1e300, 1 + 2**-40]


@given(st.lists(st.sampled_from(FLOATS), min_size=1, max_size=3))
def test_values_at_the_ends_of_every_dtype_survive_beside_other_dtypes(dtypes):
    special = torch.tensor(SPECIAL, dtype=torch.float64)
    state = {f"{at}.weight": special.to(dtype) for at, dtype in enumerate(dtypes)}
    layout = Layout.of(state, 3)
    from_tokens = layout.detokenize(layout.tokenize(state), {})
    for found in (from_tokens, layout.unflatten(layout.flatten(state))):
        assert all(torch.equal(found[n].isnan(), t.isnan()) for n, t in state.items())
        assert_same_bits(*({n: t[~t.isnan()] for n, t in s.items()} for s in (found, state)))


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        ((torch.float16,), torch.float16),
        ((torch.bfloat16, torch.bfloat16), torch.bfloat16),
        ((torch.float16, torch.bfloat16), torch.float32),
        ((torch.float8_e4m3fn, torch.float16), torch.float32),
        ((torch.float16, torch.float64), torch.float64),
        ((torch.float32, torch.int64), torch.float32),
    ],
)
def test_tokens_have_the_narrowest_dtype_that_holds_all_weights(dtypes, expected):
    state = {f"{at}.weight": torch.zeros(2, dtype=dtype) for at, dtype in enumerate(dtypes)}
    layout = Layout.of(state)
    assert layout.tokenize(state).dtype == layout.flatten(state).dtype == expected


@settings(deadline=None)
@given(states(), st.integers(0, 9), schemes, batchnorms)
def test_memory_given_for_the_tokens_holds_nothing_of_what_it_held(state, size, scheme, batchnorm):
    layout = Layout.of(state, size, scheme, batchnorm)
    expected = layout.tokenize(state)
    used = torch.full_like(expected.double(), 7).to(expected.dtype)
    assert layout.tokenize(state, out=used) is used
    assert torch.equal(used.double(), expected.double())


def test_memory_of_another_kind_is_refused():
    state = nn.Linear(3, 4).state_dict()
    layout = Layout.of(state, 2)
    for out in (torch.zeros(8, 3), torch.zeros(8, 2).double(), torch.zeros(2, 8).T):
        with pytest.raises(ValueError, match=r"out: float.* contiguous float32 \[8, 2\] needed"):
            layout.tokenize(state, out=out)


@settings(deadline=None)
@given(states(models=(3,)), st.integers(1, 9), schemes, batchnorms)
def test_a_stack_of_models_is_each_model_by_itself(stack, size, scheme, batchnorm):
    layout = Layout.of(first_model(stack), size, scheme, batchnorm)
    if not stack:
        return
    tokens = layout.tokenize(stack)
    each = [layout.tokenize({n: t[i] for n, t in stack.items()}) for i in range(3)]
    assert torch.equal(tokens, torch.stack(each))
    assert_same_bits(layout.detokenize(tokens, layout.carry(stack)), stack)
    assert torch.equal(layout.flatten(stack)[0], layout.flatten(first_model(stack)))


@settings(deadline=None)
@given(states(), st.integers(0, 9), schemes, batchnorms)
def test_index_gathers_tokens_from_the_flat_vector(state, size, scheme, batchnorm):
    layout = Layout.of(state, size, scheme, batchnorm)
    padded = torch.cat([layout.flatten(state).double(), torch.zeros(1).double()])
    assert torch.equal(padded[layout.index], layout.tokenize(state).double())
    assert torch.equal(layout.mask, layout.index >= 0)


@settings(deadline=None)
@given(states(), st.integers(0, 9), schemes, batchnorms)
def test_every_floating_value_is_in_one_token_or_carried(state, size, scheme, batchnorm):
    layout = Layout.of(state, size, scheme, batchnorm)
    used = layout.index[layout.mask]
    carried = [t.numel() for t in layout.carry(state).values() if t.is_floating_point()]
    assert len(used.unique()) == len(used) == layout.parameters - sum(carried)
    assert batchnorm != "grouped" or not carried


@settings(deadline=None)
@given(states(), st.integers(0, 9), batchnorms)
def test_positions_count_rows_within_layers(state, size, batchnorm):
    layout = Layout.of(state, size, "channel", batchnorm)
    expected = [
        (layer, row)
        for layer, block in enumerate(layout.layers)
        for row in range(block.rows)
        for _ in range(-(-block.columns // layout.size))
    ]
    assert layout.positions[:, :3].tolist() == [[i, *pair] for i, pair in enumerate(expected)]


@settings(deadline=None)
@given(states(), st.integers(0, 9), batchnorms)
def test_dense_positions_count_tokens_within_layers(state, size, batchnorm):
    layout = Layout.of(state, size, "dense", batchnorm)
    expected = [
        (layer, token)
        for layer, block in enumerate(layout.layers)
        for token in range(-(-block.rows * block.columns // layout.size))
    ]
    assert layout.positions[:, :3].tolist() == [[i, *pair] for i, pair in enumerate(expected)]


@settings(deadline=None)
@given(states(), st.integers(1, 9), batchnorms)
def test_dense_layers_are_the_rows_of_channel_layers_without_their_padding(state, size, batchnorm):
    channel, dense = (Layout.of(state, size, scheme, batchnorm) for scheme in ("channel", "dense"))
    assert len(channel.layers) == len(dense.layers)
    for rows, packed in zip(channel.layers, dense.layers, strict=True):
        index = [
            layout.index.narrow(0, layer.first_token, layer.num_tokens).flatten()
            for layout, layer in ((channel, rows), (dense, packed))
        ]
        kept, padding = index[1].split([rows.rows * rows.columns, (index[1] < 0).sum()])
        assert torch.equal(index[0][index[0] >= 0], kept)
        assert len(padding) < size
        assert (padding < 0).all()


def transformer_state():
    torch_state = nn.TransformerEncoderLayer(8, 2, 16).state_dict()
    return {
        "cls_token": torch.randn(1, 1, 8),
        "pos_embed": torch.randn(1, 5, 8),
        **torch_state,
        "ls1.gamma": torch.randn(8),
        "temperature": torch.tensor(0.5),
    }


def test_parameters_without_a_weight_in_their_name_are_layers():
    layout = Layout.of(transformer_state())
    found = {layer.pieces[0].name: (layer.rows, layer.columns) for layer in layout.layers}
    assert found["cls_token"] == (1, 8)
    assert found["pos_embed"] == (5, 8)
    assert found["ls1.gamma"] == (1, 8)
    assert found["temperature"] == (1, 1)
    assert found["self_attn.in_proj_weight"] == (24, 9)
    assert not layout.carry(transformer_state())


def test_size_zero_is_the_largest_row():
    assert Layout.of(nn.Linear(512, 10).state_dict()).size == 513
    assert Layout.of(nn.Conv2d(512, 512, 3, bias=False).state_dict()).size == 4608


def test_batchnorm_is_known_by_its_running_statistics():
    state = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LayerNorm(4)).state_dict()
    statistics = {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    affine = {"1.weight", "1.bias"}
    assert set(Layout.of(state).carry(state)) == statistics
    assert set(Layout.of(state, batchnorm="ignore").carry(state)) == statistics | affine


@pytest.mark.parametrize("scheme", ["channel", "dense"])
def test_detokenized_tensors_share_the_memory_of_the_tokens(scheme):
    state = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(5, 2)).state_dict()
    layout = Layout.of(state, 7, scheme)
    tokens = layout.tokenize(state)
    views = layout.detokenize(tokens, {}).values()
    assert all(v.untyped_storage().data_ptr() == tokens.data_ptr() for v in views)


@pytest.mark.parametrize("scheme", ["channel", "dense"])
def test_gradients_flow_from_tensors_to_tokens_and_back(scheme):
    state = {n: t.requires_grad_() for n, t in nn.Linear(5, 2).state_dict().items()}
    layout = Layout.of(state, 4, scheme)
    tokens = layout.tokenize(state)
    tokens.retain_grad()
    sum(t.sum() for t in layout.detokenize(tokens, {}).values()).backward()
    assert torch.equal(tokens.grad, layout.mask.float())
    assert all(torch.equal(t.grad, torch.ones_like(t)) for t in state.values())


@pytest.mark.parametrize("scheme", ["channel", "dense"])
@pytest.mark.parametrize("batchnorm", ["rows", "grouped", "ignore"])
def test_json_and_pickle_restore_the_layout(scheme, batchnorm):
    layout = Layout.of(transformer_state(), 6, scheme, batchnorm)
    assert layout.mask.any()  # a cached tensor must not be pickled
    assert Layout.from_json(layout.to_json()) == layout
    assert pickle.loads(pickle.dumps(layout)) == layout
    assert len(pickle.dumps(layout)) < 3000


def test_fingerprint_tells_layouts_apart():
    state = nn.BatchNorm1d(3).state_dict()
    layouts = [
        Layout.of(state),
        Layout.of(state, 5),
        Layout.of(state, scheme="dense"),
        Layout.of(state, batchnorm="grouped"),
        Layout.of(state, batchnorm="ignore"),
        Layout.of(nn.BatchNorm1d(4).state_dict()),
        Layout.of({name: t.double() for name, t in state.items()}),
    ]
    assert len({layout.fingerprint for layout in layouts}) == len(layouts)
    assert Layout.of(state).fingerprint == layouts[0].fingerprint


def test_fingerprints_are_those_that_stores_already_have():
    state = {"a.weight": torch.zeros(3, 2), "a.bias": torch.zeros(3)}
    layouts = Layout.of(state), Layout.of(state, 4, "dense", "grouped")
    known = ["0c89bf41b8035536", "4567860a435410ba"]
    assert [layout.fingerprint[:16] for layout in layouts] == known


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("0.bias"), r"^0\.bias: missing"),
        (lambda s: s.update(head=torch.zeros(1)), r"^head: not in this layout"),
        (lambda s: s.update({"0.bias": torch.zeros(5)}), r"0\.bias: shape \[5\] found, \[4\]"),
    ],
)
@pytest.mark.parametrize("method", ["tokenize", "flatten", "carry"])
def test_another_networks_state_is_refused_by_name(method, change, message):
    state = dict(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).state_dict())
    layout = Layout.of(state)
    change(state)
    with pytest.raises(ValueError, match=message):
        getattr(layout, method)(state)


def test_what_does_not_belong_to_the_layout_is_refused():
    state = nn.BatchNorm1d(4).state_dict()
    layout = Layout.of(state)
    with pytest.raises(ValueError, match=r"tokens are \[9, 2\], this layout has \[4, 2\]"):
        layout.detokenize(torch.zeros(9, 2), layout.carry(state))
    with pytest.raises(ValueError, match="num_batches_tracked: missing"):
        layout.detokenize(layout.tokenize(state), {})
    with pytest.raises(ValueError, match="3 values, this layout 16"):
        layout.unflatten(torch.zeros(3))
    with pytest.raises(ValueError, match="num_batches_tracked: missing"):
        layout.unflatten(layout.flatten(state), {})


@pytest.mark.parametrize(
    "arguments", [{"size": -1}, {"scheme": "rows"}, {"batchnorm": "drop"}], ids=str
)
def test_unknown_settings_are_refused(arguments):
    with pytest.raises(ValueError, match=r"choose from|at least 0"):
        Layout.of(nn.Linear(2, 2).state_dict(), **arguments)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"shapes": 3}'])
def test_other_json_is_refused(text):
    with pytest.raises(ValueError, match="not a layout's JSON"):
        Layout.from_json(text)
