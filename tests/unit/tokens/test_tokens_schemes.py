"""Both schemes and every treatment of BatchNorm hold for the layers people use, at known sizes."""

import warnings
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from mzsane.architectures import CNN, ResNet18
from mzsane.tokens import Layout

SETTINGS = [(s, b) for s in ("channel", "dense") for b in ("rows", "grouped", "ignore")]


class Bare(nn.Module):
    """Parameters and buffers of no layer: class token, layer scale, scalars, steps."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, 8))
        self.gamma = nn.Parameter(torch.randn(8))
        self.temperature = nn.Parameter(torch.randn(()))
        self.empty = nn.Parameter(torch.randn(0, 3))
        self.register_buffer("step", torch.tensor(7))
        self.register_buffer("causal", torch.ones(3, 3).tril().bool())


def old_weight_norm(layer):
    with warnings.catch_warnings():  # deprecated, but zoos have its names, weight_g and weight_v
        warnings.simplefilter("ignore")
        return nn.utils.weight_norm(layer)


def tied():
    network = nn.Sequential(nn.Embedding(7, 5), nn.Linear(5, 7, bias=False))
    network[1].weight = network[0].weight
    return network


NETWORKS = {
    "attention": lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True),
    "attention_of_other_widths": lambda: nn.MultiheadAttention(8, 2, kdim=3, vdim=5),
    "transformer": lambda: nn.TransformerEncoderLayer(8, 2, 16),
    "embedding": lambda: nn.Embedding(11, 6),
    "lstm": lambda: nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2),
    "bare": Bare,
    "weight_norm": lambda: weight_norm(nn.Conv1d(2, 3, 2)),
    "weight_norm_of_old": lambda: old_weight_norm(nn.Linear(3, 4)),
    "gru": lambda: nn.GRU(3, 4),
    "volumes": lambda: nn.Sequential(nn.Conv3d(2, 3, 2), nn.BatchNorm3d(3)),
    "double": lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double(),
    "tied": tied,
    "half": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).half(),
    "mixed": lambda: nn.Sequential(nn.Linear(3, 4).bfloat16(), nn.BatchNorm1d(4)),
    "batchnorm_without_affine": lambda: nn.BatchNorm1d(4, affine=False),
    "batchnorm_without_statistics": lambda: nn.BatchNorm1d(4, track_running_stats=False),
    "instancenorm": lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    "depthwise": lambda: nn.Conv2d(6, 6, 3, groups=6),
    "transposed": lambda: nn.ConvTranspose2d(3, 5, 2),
}  # fmt: skip


def shaken(network):
    """Its state dict, no two values alike, statistics and integers included."""
    state = network.state_dict()
    generator = torch.Generator().manual_seed(0)
    for tensor in state.values():
        noise = torch.rand(tensor.shape, generator=generator) * 9
        tensor.copy_(noise > 4 if tensor.dtype is torch.bool else noise)
    return state


@pytest.mark.parametrize(("scheme", "batchnorm"), SETTINGS)
@pytest.mark.parametrize("size", [0, 1, 5])
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_survive_tokens_and_load_again(name, size, scheme, batchnorm):
    network = NETWORKS[name]()
    state = {key: tensor.clone() for key, tensor in shaken(network).items()}
    layout = Layout.of(state, size, scheme, batchnorm)
    restored = layout.detokenize(layout.tokenize(state), layout.carry(state))
    assert list(restored) == list(state)
    assert all(torch.equal(restored[key], state[key]) for key in state)
    assert all(restored[key].dtype == state[key].dtype for key in state)
    other = NETWORKS[name]()
    other.load_state_dict(restored)
    assert all(torch.equal(tensor, state[key]) for key, tensor in other.state_dict().items())


@pytest.mark.parametrize("name", NETWORKS)
def test_grouped_leaves_only_integers_beside_the_tokens(name):
    state = NETWORKS[name]().state_dict()
    carried = Layout.of(state, batchnorm="grouped").carry(state)
    assert set(carried) == {key for key, t in state.items() if not t.is_floating_point()}


def test_a_grouped_row_is_scale_shift_mean_variance_of_one_channel():
    state = shaken(nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3), nn.Linear(3, 2)))
    layout = Layout.of(state, batchnorm="grouped")
    columns = [state[f"1.{n}"] for n in ("weight", "bias", "running_mean", "running_var")]
    assert torch.equal(layout.tokenize(state)[3:6], torch.stack(columns, dim=1))
    assert layout.positions[3:6, :3].tolist() == [[3, 1, 0], [4, 1, 1], [5, 1, 2]]


def test_statistics_that_fit_no_channels_are_tensors_like_others():
    state = {
        "a.running_mean": torch.randn(3),
        "a.running_var": torch.randn(4),
        "b.running_mean": torch.randn(3),
        "c.running_mean": torch.randn(2, 3),
        "c.running_var": torch.randn(2, 3),
        "d.weight": torch.randn(3, 2),
        "d.bias": torch.randn(3),
        "d.running_mean": torch.randn(3),
        "d.running_var": torch.randn(3),
    }
    layers = Layout.of(state, batchnorm="grouped").layers
    assert [(layer.rows, *(piece.name for piece in layer.pieces)) for layer in layers] == [
        (1, "a.running_mean"),
        (1, "a.running_var"),
        (1, "b.running_mean"),
        (2, "c.running_mean"),
        (2, "c.running_var"),
        (3, "d.weight"),
        (3, "d.bias", "d.running_mean", "d.running_var"),
    ]


def test_a_dense_layer_is_its_matrix_read_row_by_row():
    layer = nn.Linear(3, 4)
    tokens = Layout.of(layer.state_dict(), 5, "dense").tokenize(layer.state_dict())
    matrix = torch.cat([layer.weight, layer.bias[:, None]], dim=1)
    assert torch.equal(tokens.flatten(), torch.cat([matrix.flatten(), torch.zeros(4)]))


def large_cnn():
    """Parameters of the large CNN of arXiv:2209.14764, 10,853."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.Conv2d(16, 32, 3), nn.Conv2d(32, 15, 3),
        nn.Linear(60, 20), nn.Linear(20, 10),
    )  # fmt: skip


def vit_small():
    """Parameters of a ViT-S/16 with 1,000 classes, without class token and position embedding."""
    d = 384
    attention = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
    mlp = nn.LayerNorm(d), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
    blocks = [nn.Sequential(*attention, *mlp)] * 12  # tied, which a state dict does not mind
    ends = nn.LayerNorm(d), nn.Linear(d, 1000)
    return nn.Sequential(nn.Conv2d(3, d, 16), *blocks, *ends)


def counted(network, size, **settings):
    """Tokens, and the share of their entries that are weights."""
    with torch.device("meta"):
        layout = Layout.of(network().state_dict(), size, **settings)
    fill = sum(layer.rows * layer.columns for layer in layout.layers) / layout.size
    return layout.num_tokens, round(fill / layout.num_tokens, 4)


@pytest.mark.parametrize(
    ("classes", "settings", "tokens"),
    [
        (10, {"batchnorm": "ignore"}, 39_124),
        (10, {"batchnorm": "rows"}, 43_924),
        (10, {"batchnorm": "grouped"}, 43_924),
        (100, {"batchnorm": "ignore"}, 39_304),
        (200, {"batchnorm": "ignore"}, 39_504),
    ],
)
def test_resnets_have_the_published_number_of_tokens(classes, settings, tokens):
    assert counted(partial(ResNet18, classes=classes), 288, **settings)[0] == tokens


@pytest.mark.parametrize(("network", "tokens"), [(ResNet18, 48_607), (vit_small, 95_590)])
def test_dense_tokens_are_as_many_as_published(network, tokens):
    """Counted over trainable tensors; of the ResNet, BatchNorm's scale and shift among them."""
    assert counted(network, 230, scheme="dense")[0] == tokens


def test_dense_tokens_of_a_resnet_hold_almost_no_padding():
    assert counted(ResNet18, 230, scheme="dense")[1] == 0.9995


@pytest.mark.parametrize(
    ("network", "size", "tokens"), [(CNN, 201, 48), (large_cnn, 289, 93), (large_cnn, 201, 108)]
)
def test_small_networks_have_the_published_number_of_tokens(network, size, tokens):
    assert counted(network, size)[0] == tokens
