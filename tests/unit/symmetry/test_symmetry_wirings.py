"""Heads, concatenations, groups of channels and recurrence: found in place, exact, and no more."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mzsane.architectures import Architecture
from mzsane.symmetry import Place, Symmetry, match, similarity, trace, trace_error, verify

IMAGES, SEQUENCES = torch.zeros(2, 3, 8, 8), torch.zeros(2, 5, 6)


class Wired(nn.Module):
    """Layers joined by a function."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.wiring = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, inputs):
        return self.wiring(self, inputs)


class Attention(nn.Module):
    """Separate queries, keys and values; several query heads may share a key head."""

    def __init__(self, heads, key_heads):
        super().__init__()
        self.heads, self.key_heads = heads, key_heads
        self.q = nn.Linear(8, 8)
        self.k, self.v = (nn.Linear(8, key_heads * 8 // heads) for _ in range(2))
        self.o = nn.Linear(8, 8)

    def forward(self, x):
        q = self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = (
            layer(x).unflatten(-1, (self.key_heads, -1)).transpose(1, 2)
            .repeat_interleave(self.heads // self.key_heads, 1)
            for layer in (self.k, self.v)
        )  # fmt: skip
        mixed = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.o(mixed.transpose(1, 2).flatten(2))


def dense(net, x):
    x = net.stem(x)
    x = torch.cat([x, net.a(x.relu())], 1)
    return net.head(net.bn(x).relu().mean((2, 3)))


def unet(net, x):
    skip = net.a(x).relu()
    up = net.up(net.b(F.max_pool2d(skip, 2)).relu())
    return net.out(torch.cat([up, skip], 1)).mean((2, 3))


def flat(net, x):
    return net.head(torch.cat([net.a(x), net.b(x)], 1).flatten(1))


def gated(net, x):
    value, gate = net.f(x).chunk(2, -1)
    return net.o(value * gate.sigmoid())


CASES = {
    "dense": (
        lambda: Wired(
            dense, stem=nn.Conv2d(3, 4, 1), a=nn.Conv2d(4, 5, 1), bn=nn.BatchNorm2d(9),
            head=nn.Linear(9, 2),
        ),
        IMAGES, {"stem.weight": 4, "a.weight": 5}, Place("bn.weight", 0, offset=4),
    ),
    "unet": (
        lambda: Wired(
            unet, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(4, 6, 1), up=nn.ConvTranspose2d(6, 5, 2, 2),
            out=nn.Conv2d(9, 2, 1),
        ),
        IMAGES, {"a.weight": 4, "b.weight": 6, "up.weight:1": 5}, Place("out.weight", 1, offset=5),
    ),
    "flattened": (
        lambda: Wired(flat, a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(3, 5, 1), head=nn.Linear(576, 2)),
        IMAGES, {"a.weight": 4, "b.weight": 5}, Place("head.weight", 1, 1, 64, 256),
    ),
    "mobile": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, groups=6), nn.BatchNorm2d(6), nn.Conv2d(6, 2, 1)
        ),
        IMAGES, {"0.weight": 6}, Place("1.weight", 0),
    ),
    "grouped": (
        lambda: nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 8, 3, groups=2), nn.Conv2d(8, 2, 1)),
        IMAGES, {"0.weight": 2, "0.weight (2)": 3, "1.weight": 4}, Place("1.weight", 0, 1, 4),
    ),
    "group norm": (
        lambda: nn.Sequential(nn.Conv2d(3, 6, 1), nn.GroupNorm(2, 6), nn.Conv2d(6, 2, 1)),
        IMAGES, {"0.weight": 2, "0.weight (2)": 3}, Place("1.weight", 0, 2, 1),
    ),
    "heads": (
        lambda: nn.Sequential(nn.Linear(6, 8), Attention(2, 2), nn.Linear(8, 2)),
        SEQUENCES,
        {"0.weight": 8, "1.q.weight": 2, "1.q.weight (2)": 4, "1.v.weight": 4, "1.o.weight": 8},
        Place("1.o.weight", 1, 1, 4),
    ),
    "shared keys": (
        lambda: nn.Sequential(nn.Linear(6, 8), Attention(4, 2), nn.Linear(8, 2)),
        SEQUENCES,
        {"0.weight": 8, "1.q.weight": 2, "1.q.weight (2)": 2, "1.q.weight (3)": 2, "1.v.weight": 2,
         "1.o.weight": 8},
        Place("1.q.weight", 0, 1, 4),
    ),
    "torch": (
        lambda: nn.Sequential(
            nn.Linear(6, 8), nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), nn.Linear(8, 2)
        ),
        SEQUENCES,
        {"0.weight": 8, "1.self_attn.in_proj_weight": 2, "1.self_attn.in_proj_weight (2)": 4,
         "1.linear1.weight": 12},
        Place("1.self_attn.in_proj_weight", 0, 3, 4),
    ),
    "gated": (
        lambda: Wired(gated, f=nn.Linear(6, 8), o=nn.Linear(4, 2)),
        SEQUENCES, {"f.weight": 4}, Place("f.weight", 0, offset=4),
    ),
    "recurrent": (
        lambda: Wired(
            lambda net, x: net.o(net.r(x)[0]), r=nn.LSTM(6, 4, batch_first=True), o=nn.Linear(4, 2)
        ),
        SEQUENCES, {"r.weight_ih_l0": 4}, Place("r.weight_hh_l0", 1),
    ),
    "weight norm": (
        lambda: nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)), nn.Linear(4, 2)
        ),
        SEQUENCES, {"0.bias": 4}, Place("0.parametrizations.weight.original0", 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_groups_of_a_wiring_are_found_exactly_where_they_act(name):
    build, example, sizes, place = CASES[name]
    network = build()
    symmetry = trace(network, example)
    assert {group.name: group.size for group in symmetry.groups} == sizes
    assert symmetry.rejected == ()
    assert place in {found for group in symmetry.groups for found in group.places}
    permutation = symmetry.random(np.random.default_rng(0))
    inputs = torch.randn(example.shape)
    assert trace_error(network, inputs, symmetry, permutation) <= 1e-9
    verify(network, example, symmetry)


@pytest.mark.parametrize("name", CASES)
def test_matching_never_makes_a_wiring_less_similar(name):
    build, example, _, _ = CASES[name]
    symmetry = trace(build(), example)
    state, reference = build().state_dict(), build().state_dict()
    aligned = symmetry.apply(state, match(state, reference, symmetry))
    before, after = (similarity(each, reference, symmetry) for each in (state, aligned))
    assert after >= before - 1e-5 * abs(before)


@pytest.mark.parametrize("name", CASES)
def test_matching_finds_a_permutation_of_a_wiring_back(name):
    build, example, _, _ = CASES[name]
    torch.manual_seed(0)
    reference = build().state_dict()
    symmetry = trace(build(), example)
    shuffled = symmetry.apply(reference, symmetry.random(np.random.default_rng(1)))
    restored = symmetry.apply(shuffled, match(shuffled, reference, symmetry))
    assert all(torch.equal(restored[tensor], reference[tensor]) for tensor in reference)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("CNN2", (3, 28, 28)), ("CNN3", (3, 32, 32)), ("LeNet5", (1, 28, 28)), ("ViT", (1, 28, 28))],
)
def test_the_fields_other_networks_are_traced_without_a_rejection(name, shape):
    network = Architecture(f"mzsane.architectures.{name}", {}, shape, 10).build(0)
    symmetry = trace(network, torch.zeros(2, *shape))
    assert symmetry.groups
    assert symmetry.rejected == ()


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_weight_norm_of_the_old_style_is_traced():
    network = nn.Sequential(nn.utils.weight_norm(nn.Linear(6, 4)), nn.Linear(4, 2))
    weight = network[0].weight
    (group,) = trace(network, SEQUENCES).groups
    assert {Place("0.weight_g", 0), Place("0.weight_v", 0), Place("1.weight", 1)} <= set(
        group.places
    )
    assert network[0].weight is weight
    permutation = (np.array([2, 0, 3, 1]),)
    error = trace_error(network, torch.randn(2, 5, 6), Symmetry((group,)), permutation)
    assert error <= 1e-9


LINEAR = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
SHAPES = {name: tuple(tensor.shape) for name, tensor in LINEAR.state_dict().items()}


def test_groups_given_by_hand_are_those_that_tracing_finds():
    given = Symmetry.of_places({"0.weight": ["0.weight:0", "0.bias:0", "2.weight:1"]}, SHAPES)
    assert given == trace(LINEAR, SEQUENCES)
    verify(LINEAR, SEQUENCES, given)


def test_heads_blocks_and_parts_can_be_given_by_hand():
    given = {"heads": {"size": 2, "places": ["qkv:0*3", "o:1"]}, "part": ["c:0[4:9]", "d:1"]}
    shapes = {"qkv": (24, 8), "o": (8, 8), "c": (9,), "d": (3, 10)}
    heads, part = Symmetry.of_places(given, shapes).groups
    assert heads.places == (Place("qkv", 0, 3, 4), Place("o", 1, 1, 4))
    assert (part.size, part.places) == (5, (Place("c", 0, 1, 1, 4), Place("d", 1, 1, 2)))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"a": ["0.weight"]}, "is not tensor:axis"),
        ({"a": ["1.weight:0"]}, "no tensor '1.weight'"),
        ({"a": ["0.bias:1"]}, "has no axis 1"),
        ({"a": ["0.weight:0[2:9]"]}, "not within an axis of 4"),
        ({"a": ["0.weight:0", "0.weight:1"]}, "no multiple"),
        ({"a": ["0.weight:0"], "b": ["0.weight:0[1:3]"]}, "overlap"),
        ({"a": []}, "no list of places"),
    ],
)
def test_a_mistake_in_groups_given_by_hand_is_named(groups, words):
    with pytest.raises(ValueError, match=words):
        Symmetry.of_places(groups, SHAPES)


def test_a_false_group_given_by_hand_is_refused():
    given = Symmetry.of_places({"hidden": ["0.weight:0", "2.weight:1"]}, SHAPES)
    with pytest.raises(ValueError, match="hidden of Sequential: permuting it changes the outputs"):
        verify(LINEAR, SEQUENCES, given)
