"""Groups are found in any network, preserve its function, and are dropped where they would not."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mzsane.architectures import CNN, MLP, ResNet18
from mzsane.symmetry import Group, Place, Symmetry, trace, trace_error
from mzsane.symmetry.proof import refute
from mzsane.symmetry.running import double_copy
from mzsane.symmetry.witness import Witness

GOLDEN = Path(__file__).parents[2] / "golden"
IMAGES = torch.zeros(2, 3, 32, 32)
NETWORKS = {
    "cnn": (lambda: CNN(dropout=0.1, channels_in=3, image_size=(32, 32)), 4),
    "resnet": (lambda: ResNet18(width=4), 12),
    "mlp": (lambda: MLP((3, 32, 32)), 2),
}


class Wired(nn.Module):
    """Layers joined by a function, for networks of one line."""

    def __init__(self, forward, **layers):
        super().__init__()
        self.wiring = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.wiring(self, inputs)


class Attention(nn.Module):
    """A vision transformer of one block."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.patch = nn.Conv2d(3, width, 16, 16)
        self.norm = nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 12), nn.Linear(12, width)
        self.head = nn.Linear(width, 5)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patch(images).flatten(2).transpose(1, 2)
        stream = torch.cat([self.cls.expand(len(patches), -1, -1), patches], 1)
        batch, tokens, width = stream.shape
        heads = self.qkv(self.norm(stream)).reshape(batch, tokens, 3, 2, width // 2)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        stream = stream + self.proj(mixed.reshape(batch, tokens, width))
        return self.head((stream + self.fc2(F.gelu(self.fc1(stream))))[:, 0])


def test_the_published_permutations_of_the_cnn_are_found():
    published = json.loads((GOLDEN / "golden.json").read_text())["permutation_spec_conv_net"]
    symmetry = trace(CNN(), torch.zeros(1, 1, 28, 28))
    found = {(p.tensor, p.axis): i for i, group in enumerate(symmetry.groups) for p in group.places}
    expected = {
        (tensor, axis): int(group.removeprefix("P_bg"))
        for tensor, axes in published.items()
        for axis, group in enumerate(axes)
        if group != "None"
    }
    assert found == expected
    assert symmetry.groups[2].places[-1] == Place("module_list.9.weight", 1, outer=1, block=9)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_coupling_of_the_zoos_networks_is_proven(name):
    build, groups = NETWORKS[name]
    symmetry = trace(build(), IMAGES)
    assert (len(symmetry.groups), symmetry.rejected) == (groups, ())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_permuted_networks_compute_the_same_function(name, seed):
    torch.manual_seed(seed)
    network = NETWORKS[name][0]()
    images = torch.randn(2, 3, 32, 32)
    network(images)  # in training mode: BatchNorm now has statistics
    symmetry = trace(network, IMAGES)
    permutation = symmetry.random(np.random.default_rng(seed))
    size = network.double().eval()(images.double()).abs().max().item()
    assert trace_error(network, images, symmetry, permutation) <= 1e-9 * size


def test_forgetting_a_place_is_noticed():
    network, images = ResNet18(width=4), torch.randn(2, 3, 32, 32)
    symmetry = trace(network, IMAGES)
    stream = symmetry.groups[0]
    torn = Symmetry((Group(stream.name, stream.size, stream.places[:-1]),))
    assert trace_error(network, images, torn, (np.array([1, 2, 3, 0]),)) > 1e-4
    copied, inputs = double_copy(network, images)
    assert set(refute(Witness.of(copied, inputs), torn.groups)) == {0}


@pytest.mark.parametrize("false", [(0,), (5,), (11,), (2, 7)], ids=str)
def test_false_groups_are_singled_out_among_true_ones(false):
    copied, inputs = double_copy(ResNet18(width=4), IMAGES)
    groups = list(trace(copied, inputs).groups)
    for at in false:
        groups[at] = replace(groups[at], places=groups[at].places[:-1])
    refuted = refute(Witness.of(copied, inputs), groups)
    assert sorted(refuted) == list(false)
    assert all("changes the outputs" in reason for reason in refuted.values())


def test_halves_of_one_group_are_refused_although_moving_both_alike_would_do():
    copied, inputs = double_copy(nn.Sequential(nn.Linear(32, 2), nn.Linear(2, 3)), IMAGES)
    (group,) = trace(copied, inputs).groups
    halves = [replace(group, places=places) for places in (group.places[:2], group.places[2:])]
    assert sorted(refute(Witness.of(copied, inputs), halves)) == [0, 1]


def test_a_layer_that_tells_its_channels_apart_costs_no_other_group():
    layers = {f"a{at}": nn.Conv2d(3 if at == 0 else 4, 4, 1) for at in range(8)}

    def wiring(net, x):
        for at in range(7):
            x = getattr(net, f"a{at}")(x).relu()
            x = x * torch.arange(1.0, 5.0)[:, None, None] if at == 4 else x
        return net.a7(x)

    symmetry = trace(Wired(wiring, **layers), IMAGES)
    assert [group.name for group in symmetry.groups] == [
        f"a{at}.weight" for at in (0, 1, 2, 3, 5, 6)
    ]
    assert len(symmetry.rejected) == 1
    assert symmetry.rejected[0].startswith("a4.weight: permuting it changes the outputs")


def test_channels_behind_a_step_are_kept_although_no_gradient_sees_them():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, affine=False))
    wired = Wired(
        lambda net, x: net.b(net.a(x)).sign().cumsum(2).mul(2).round().sum(1),
        a=network[0],
        b=network[1],
    )
    (group,) = trace(wired, IMAGES).groups
    assert Place("b.running_mean", 0) in group.places


def test_every_hidden_axis_of_the_resnet_belongs_to_a_group():
    network = ResNet18(width=4)
    moved = {(p.tensor, p.axis) for g in trace(network, IMAGES).groups for p in g.places}
    state = {name: tensor for name, tensor in network.state_dict().items() if tensor.ndim}
    axes = {(name, axis) for name in state for axis in range(min(2, state[name].ndim))}
    assert axes - moved == {("conv1.weight", 1), ("fc.weight", 0), ("fc.bias", 0)}


def test_tracing_leaves_module_mode_and_random_state_alone():
    network = ResNet18(width=4).train().requires_grad_(False)
    network.layer1.eval()
    before, modes = copy.deepcopy(network.state_dict()), [m.training for m in network.modules()]
    random = torch.random.get_rng_state()
    trace(network, IMAGES)
    assert torch.equal(random, torch.random.get_rng_state())
    assert modes == [module.training for module in network.modules()]
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_tracing_depends_on_the_architecture_alone():
    assert trace(ResNet18(width=4), IMAGES) == trace(ResNet18(width=4), torch.randn(1, 3, 32, 32))


def test_groups_are_named_after_their_first_tensors_in_order():
    network = CNN()
    names = [group.name for group in trace(network, torch.zeros(1, 1, 28, 28)).groups]
    assert names == [f"module_list.{layer}.weight" for layer in (0, 3, 6, 9)]


def test_the_stream_heads_and_hidden_layer_of_a_transformer_are_found():
    symmetry = trace(Attention(), IMAGES)
    assert [(group.name, group.size) for group in symmetry.groups] == [
        ("cls:2", 8),
        ("qkv.weight", 2),
        ("qkv.weight (2)", 4),
        ("fc1.weight", 12),
    ]
    heads, features = symmetry.groups[1:3]
    assert heads.places == (
        Place("qkv.weight", 0, outer=3, block=4),
        Place("qkv.bias", 0, outer=3, block=4),
        Place("proj.weight", 1, outer=1, block=4),
    )
    assert features.places[0] == Place("qkv.weight", 0, outer=6)


def test_depthwise_convolutions_move_with_their_channels():
    network = nn.Sequential(
        *[nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, groups=6), nn.ReLU(), nn.Conv2d(6, 4, 1)]
    )
    (group,) = trace(network, IMAGES).groups
    assert Place("1.weight", 0) in group.places
    assert Place("1.weight", 1) not in group.places


@pytest.mark.parametrize(
    "wiring",
    [
        lambda net, x: (lambda h: net.c(h + net.b(h.relu())))(net.a(x)),
        lambda net, x: net.c(net.a(x) + net.b(net.a(x).relu())),
    ],
    ids=["once", "the first layer twice"],
)
def test_both_axes_of_a_layer_inside_the_stream_move(wiring):
    layers = {"a": nn.Conv2d(3, 4, 1), "b": nn.Conv2d(4, 4, 1), "c": nn.Conv2d(4, 2, 1)}
    (group,) = trace(Wired(wiring, **layers), IMAGES).groups
    assert {Place("b.weight", 0), Place("b.weight", 1)} <= set(group.places)


def test_tied_weights_move_under_both_names():
    network = Wired(
        lambda net, x: net.c(net.a(x).relu()) + net.c(net.b(x).tanh()),
        a=nn.Linear(32, 6),
        b=nn.Linear(32, 6),
        c=nn.Linear(6, 2),
    )
    network.b.weight = network.a.weight
    (group,) = trace(network, IMAGES).groups
    assert {"a.weight", "b.weight"} <= {place.tensor for place in group.places}


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (
            Wired(
                lambda net, x: net.b(net.a(x) * torch.arange(4.0)[:, None, None]),
                a=nn.Conv2d(3, 4, 1),
                b=nn.Conv2d(4, 2, 1),
            ),
            "changes the outputs",
        ),
        (
            Wired(lambda net, x: net.b(x + net.a(x)), a=nn.Conv2d(3, 3, 1), b=nn.Conv2d(3, 2, 1)),
            "tied to the network's inputs",
        ),
        (
            Wired(lambda net, x: net.b(net.a(x) * 0), a=nn.Conv2d(3, 4, 1), b=nn.Conv2d(4, 2, 1)),
            "do not reach the outputs",
        ),
    ],
    ids=["positional", "input residual", "dead"],
)
def test_channels_that_are_not_free_are_rejected_with_the_reason(network, reason):
    symmetry = trace(network, IMAGES)
    assert not symmetry.groups
    assert reason in symmetry.rejected[0]


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (nn.Linear(4, 3), "cannot be multiplied"),
        (Wired(lambda net, x: (net.a(x),), a=nn.Linear(32, 3)), "not one tensor"),
        (Wired(lambda net, x: net.a(x) / 0, a=nn.Linear(32, 3)), "finite"),
    ],
)
def test_a_network_that_cannot_be_traced_is_refused_in_one_sentence(network, reason):
    with pytest.raises(ValueError, match=f"cannot be traced .*{reason}"):
        trace(network, IMAGES)
