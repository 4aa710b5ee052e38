"""Positions tell where tokens stand, in how large a model, and in what kind of layer."""

from collections import OrderedDict

import pytest
import torch
from torch import nn

from mzsane.models.positions import NUM_KINDS
from mzsane.models.positions import PLACE as PLACE_OF_MODELS
from mzsane.tokens import KINDS, PLACE, Layout

NORMALISED = "normalization"


class Patches(nn.Module):
    """What vision transformers have beside layers."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 6))
        self.pos_embed = nn.Parameter(torch.zeros(1, 5, 6))
        self.bias = nn.Parameter(torch.zeros(6))


def kinds(module, batchnorm="rows"):
    return Layout.of(module.state_dict(), batchnorm=batchnorm).kinds


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv1d(2, 3, 1), ["convolution"]),
        (nn.Conv2d(2, 4, 3, groups=2), ["convolution"]),
        (nn.ConvTranspose3d(2, 3, 2, bias=False), ["convolution"]),
        (
            nn.utils.parametrizations.weight_norm(nn.Conv1d(2, 3, 2, bias=False)),
            ["convolution"] * 2,
        ),
        (nn.Linear(2, 3), ["linear"]),
        (nn.Embedding(4, 3), ["linear"]),
        (nn.MultiheadAttention(4, 2), ["linear", "linear"]),
        (nn.LayerNorm(4), [NORMALISED]),
        (nn.LayerNorm(4, bias=False), [NORMALISED]),
        (nn.GroupNorm(2, 4), [NORMALISED]),
        (nn.BatchNorm2d(3), [NORMALISED]),
        (nn.LSTM(2, 3, bidirectional=True, proj_size=2), ["recurrent"] * 6),
        (nn.GRUCell(2, 3), ["recurrent"] * 2),
        (Patches(), ["other"] * 3),
    ],
)
def test_kinds_are_those_of_the_modules(module, expected):
    assert sorted(kinds(module)) == sorted(expected)
    inside = nn.Sequential(OrderedDict(inner=nn.Sequential(module)))
    assert sorted(kinds(inside)) == sorted(expected)


@pytest.mark.parametrize("batchnorm", ["rows", "grouped", "ignore"])
@pytest.mark.parametrize("affine", [True, False])
def test_running_statistics_tell_batchnorm(affine, batchnorm):
    network = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3, affine=affine))
    found = kinds(network, batchnorm)
    tokens = batchnorm == "grouped" or (affine and batchnorm == "rows")
    assert found == ("convolution", NORMALISED)[: 1 + tokens]


def test_what_is_no_weight_matrix_and_no_norm_is_other():
    state = {"a.weight": torch.zeros(3, 2), "a.bias": torch.zeros(3), "b.gamma": torch.zeros(3, 2)}
    assert Layout.of(state).kinds == ("linear", "other")
    assert Layout.of({"weight": torch.zeros(())}).kinds == ("other",)
    assert Layout.of({"weights_of_heads": torch.zeros(3)}).kinds == ("other",)


@pytest.mark.parametrize("scheme", ["channel", "dense"])
def test_every_token_knows_extents_and_kind(scheme):
    network = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Linear(7, 5))
    layout = Layout.of(network.state_dict(), 4, scheme)
    positions = dict(zip(PLACE, layout.positions.unbind(1), strict=True))
    assert set(positions["tokens"].tolist()) == {layout.num_tokens}
    assert set(positions["layers"].tolist()) == {layout.num_layers} == {3}
    assert [KINDS[k] for k in positions["kind"].unique_consecutive()] == list(layout.kinds)
    assert layout.kinds == ("convolution", NORMALISED, "linear")
    for number in range(3):
        mine = positions["layer"] == number
        extents = positions["rows"][mine].unique()
        assert extents.tolist() == [positions["row"][mine].max() + 1]


def test_an_empty_model_has_no_positions():
    assert Layout.of({"steps": torch.tensor(3)}).positions.shape == (0, len(PLACE))


def test_autoencoders_read_the_columns_and_kinds_that_layouts_write():
    assert PLACE_OF_MODELS == PLACE
    assert len(KINDS) == NUM_KINDS
