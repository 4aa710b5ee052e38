"""The networks have the names and sizes of the published zoos."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mzsane.architectures import CNN, CNN2, CNN3, MLP, Architecture, LeNet5, ResNet18, ViT
from mzsane.architectures.architecture import NETWORKS

GOLDEN = Path(__file__).parents[2] / "golden"


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("network", "checkpoint", "shape"),
    [
        (CNN(), "conv_net", (1, 28, 28)),
        (CNN(channels_in=3), "conv_net_rgb", (3, 28, 28)),
        (ResNet18(width=4), "slim_resnet18", (3, 32, 32)),
    ],
)
def test_published_checkpoints_load_and_run(network, checkpoint, shape):
    network.load_state_dict(load_file(GOLDEN / f"checkpoint_{checkpoint}.safetensors"))
    assert network.eval()(torch.ones(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize(("channels_in", "weights"), [(1, 2464), (3, 2864)])
def test_the_small_cnn_has_the_published_number_of_weights(channels_in, weights):
    assert count(CNN(channels_in=channels_in)) == weights


@pytest.mark.parametrize(
    ("classes", "weights"), [(10, 11_173_962), (100, 11_220_132), (200, 11_271_432)]
)
def test_the_resnet_has_the_published_number_of_weights(classes, weights):
    with torch.device("meta"):
        network = ResNet18(classes=classes)
    assert count(network) == weights
    assert len(network.state_dict()) == 122
    assert sum(buffer.numel() for buffer in network.buffers()) == 9_620


@pytest.mark.parametrize(("dropout", "layers"), [(0.0, (0, 3, 6, 9, 11)), (0.3, (0, 4, 8, 11, 14))])
def test_dropout_shifts_the_names_of_the_cnn(dropout, layers):
    weights = [name for name in CNN(dropout=dropout).state_dict() if name.endswith("weight")]
    assert weights == [f"module_list.{layer}.weight" for layer in layers]


@pytest.mark.parametrize(
    ("network", "side", "weights", "layers"),
    [
        (CNN2, 28, 3_347, (0, 3, 6, 9, 11)),
        (CNN3, 32, 10_853, (0, 4, 8, 13, 16)),
        (LeNet5, 32, 62_006, (0, 4, 9, 12, 15)),
    ],
)
def test_the_larger_cnns_have_the_published_size_and_names(network, side, weights, layers):
    network = network()
    assert count(network) == weights
    assert list(network.state_dict()) == [
        f"module_list.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")
    ]
    assert network(torch.ones(2, 3, side, side)).shape == (2, 10)


@pytest.mark.parametrize(("network", "shifts"), [(CNN2, True), (CNN3, False), (LeNet5, False)])
def test_dropout_shifts_names_only_where_it_did_in_the_published_zoos(network, shifts):
    assert (network(dropout=0.5).state_dict().keys() != network().state_dict().keys()) == shifts


def test_dropout_acts_while_training_only():
    network, images = CNN3(dropout=0.5), torch.randn(2, 3, 32, 32)
    assert not torch.equal(network(images), network(images))
    assert torch.equal(network.eval()(images), network(images))


@pytest.mark.parametrize("width", [1, 2, 32])
def test_a_resnet_of_any_width_has_stages_of_one_two_four_and_eight_times_as_many(width):
    network = ResNet18(width=width)
    stages = [getattr(network, f"layer{i}")[1].conv2.out_channels for i in (1, 2, 3, 4)]
    assert stages == [width, 2 * width, 4 * width, 8 * width]


def test_the_imagenet_stem_is_the_original_one():
    with torch.device("meta"):
        network = ResNet18(classes=1000, stem="imagenet")
        assert network(torch.empty(1, 3, 64, 64)).shape == (1, 1000)
        assert network.maxpool(network.conv1(torch.empty(1, 3, 64, 64))).shape[-2:] == (16, 16)
    assert count(network) == 11_689_512  # of torchvision's documentation
    assert network.conv1.weight.shape == (64, 3, 7, 7)


def test_the_name_of_the_shortcuts_changes_nothing_else():
    one, other = ResNet18(width=2), ResNet18(width=2, shortcut="shortcut")
    renamed = {k.replace("downsample", "shortcut"): v for k, v in one.state_dict().items()}
    other.load_state_dict(renamed)
    images = torch.randn(3, 3, 16, 16)
    torch.testing.assert_close(one.eval()(images), other.eval()(images), rtol=0, atol=0)


def test_vit_s_16_has_the_published_size_and_names():
    with torch.device("meta"):
        network = ViT(3, 1000, (224, 224), patch_size=16, width=384, depth=12, heads=6)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert count(network) == 22_050_664
    assert len(shapes) == 4 + 12 * 12 + 4
    block = {name.removeprefix("blocks.11."): shapes[name] for name in shapes if ".11." in name}
    assert block | {"cls_token": shapes["cls_token"], "pos_embed": shapes["pos_embed"]} == {
        "cls_token": (1, 1, 384),
        "pos_embed": (1, 197, 384),
        **{f"norm{i}.{kind}": (384,) for i in (1, 2) for kind in ("weight", "bias")},
        **{"attn.qkv.weight": (1152, 384), "attn.qkv.bias": (1152,)},
        **{"attn.proj.weight": (384, 384), "attn.proj.bias": (384,)},
        **{"mlp.fc1.weight": (1536, 384), "mlp.fc1.bias": (1536,)},
        **{"mlp.fc2.weight": (384, 1536), "mlp.fc2.bias": (384,)},
    }
    assert {"patch_embed.proj.weight", "norm.weight", "head.weight"} <= shapes.keys()


def test_attention_equals_its_formula():
    attention, tokens = ViT().blocks[0].attn, torch.randn(2, 5, 32)
    queries, keys, values = attention.qkv(tokens).chunk(3, dim=-1)
    heads = []
    for head in range(4):
        q, k, v = (part[..., 8 * head : 8 * head + 8] for part in (queries, keys, values))
        heads.append((q @ k.mT / 8**0.5).softmax(-1) @ v)
    torch.testing.assert_close(attention(tokens), attention.proj(torch.cat(heads, -1)))


def test_a_prefixed_vit_is_a_vit_under_another_name():
    shape = {"input_shape": (3, 14, 14), "classes": 5}
    arguments = {"depth": 1, "head": [6]}
    plain, wrapped = (
        Architecture(f"mzsane.architectures.{name}", arguments, **shape).build(0).eval()
        for name in ("ViT", "PrefixedViT")
    )
    assert list(wrapped.state_dict()) == [f"vit.{name}" for name in plain.state_dict()]
    assert {"vit.head.0.weight", "vit.head.2.weight"} < wrapped.state_dict().keys()
    images = torch.randn(2, 3, 14, 14)
    assert torch.equal(plain(images), wrapped(images))


@pytest.mark.parametrize("target", NETWORKS)
def test_every_network_is_built_for_images_and_runs_vectorised_as_one_by_one(target):
    arguments = {"width": 2} if target.endswith("ResNet18") else {}
    architecture = Architecture(target, arguments, (2, 28, 28), 7)
    networks = [architecture.build(seed).eval() for seed in range(3)]
    images = torch.randn(4, 2, 28, 28)
    stacked = torch.func.stack_module_state(networks)
    logits = torch.func.vmap(lambda state: torch.func.functional_call(networks[0], state, images))(
        {**stacked[0], **stacked[1]}
    )
    assert logits.shape == (3, 4, 7)
    expected = torch.stack([network(images) for network in networks])
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_the_mlp_has_the_published_size_and_names():
    network = MLP((14,), classes=10, width=(30, 15), dropout=0.5)
    assert count(network) == 1075
    assert [name for name in network.state_dict() if "weight" in name] == [
        f"module_list.{layer}.weight" for layer in (0, 3, 6)
    ]
    assert network(torch.ones(5, 14)).shape == (5, 10)


def test_images_of_other_sizes_fit_a_cnn_made_for_them():
    network = CNN(image_size=(32, 20))
    assert network(torch.ones(2, 1, 32, 20)).shape == (2, 10)


@pytest.mark.parametrize(
    ("initialisation", "mean", "spread"), [("uniform", 0.5, 12**-0.5), ("normal", 0.0, 1.0)]
)
def test_initialisations_have_the_published_moments(initialisation, mean, spread):
    weight = MLP(initialisation=initialisation).module_list[0].weight
    assert weight.mean().item() == pytest.approx(mean, abs=0.03)
    assert weight.std().item() == pytest.approx(spread, rel=0.03)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_biases_start_at_a_hundredth(network):
    layers = [x for x in network().modules() if isinstance(x, nn.Conv2d | nn.Linear)]
    biases = torch.cat([layer.bias for layer in layers if layer.bias is not None])
    assert torch.equal(biases, torch.full_like(biases, 0.01))


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"nonlinearity": "silly"}, "nonlinearity: 'silly'"),
        ({"initialisation": "zeros"}, "initialisation: 'zeros'"),
        ({"width": (8, 6)}, "width"),
        ({"image_size": (19, 28)}, "image_size"),
        ({"dropout": 1.0}, "dropout: 1.0"),
    ],
)
def test_a_wrong_argument_is_named(arguments, named):
    with pytest.raises(ValueError, match=named):
        CNN(**arguments)


@pytest.mark.parametrize(
    ("network", "arguments", "named"),
    [
        (CNN3, {"image_size": (21, 32)}, r"image_size: of \[21, 32\]"),
        (LeNet5, {"image_size": (15, 32)}, "image_size"),
        (CNN3, {"dropout": -0.5}, "dropout: -0.5"),
        (ResNet18, {"stem": "vgg"}, "stem: 'vgg'"),
        (ResNet18, {"shortcut": "skip"}, "shortcut: 'skip'"),
        (ViT, {"patch_size": 5}, "patch_size: 5"),
        (ViT, {"heads": 5}, "heads: 5"),
        (ViT, {"head_nonlinearity": "silly"}, "nonlinearity: 'silly'"),
    ],
)
def test_what_cannot_be_built_is_told_in_one_sentence(network, arguments, named):
    with pytest.raises(ValueError, match=named) as error:
        network(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("network", "side"), [(CNN3, 22), (LeNet5, 16)])
def test_the_smallest_images_of_the_docstrings_fit(network, side):
    assert network(image_size=(side, side))(torch.ones(1, 3, side, side)).shape == (1, 10)
