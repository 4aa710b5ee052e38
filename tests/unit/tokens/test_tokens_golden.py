"""Tokens, masks, positions and halo windows equal the published implementation's numbers."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mzsane.tokens import Layout, slice_halo, stitch_halo

GOLDEN = Path(__file__).parents[2] / "golden"
PARTS = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
BLOCK = ["conv1", "bn1", "conv2", "bn2", "downsample"]


def state_dict_order(name: str) -> list:
    """Sort key that brings alphabetical names back into the order of the module."""
    *modules, part = name.split(".")
    top = ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc", "module_list"]
    key = [top.index(modules[0])]
    key += [int(m) if re.fullmatch(r"\d+", m) else BLOCK.index(m) for m in modules[1:]]
    return [*key, PARTS.index(part)]


def checkpoint(net: str) -> dict[str, torch.Tensor]:
    state = load_file(GOLDEN / f"checkpoint_{net}.safetensors")
    return {name: state[name] for name in sorted(state, key=state_dict_order)}


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("tokens_*.safetensors")), ids=lambda path: path.stem
)
def test_layout_reproduces_published_tokens(path):
    net, size, bn = re.fullmatch(r"tokens_(\w+)_size(\d+)_(bn|nobn)", path.stem).groups()
    state, expected = checkpoint(net), load_file(path)
    layout = Layout.of(state, int(size), batchnorm="rows" if bn == "bn" else "ignore")
    tokens = layout.tokenize(state)
    assert torch.equal(tokens, expected["tokens"])
    assert torch.equal(layout.mask, expected["mask"])
    assert torch.equal(layout.positions[:, :3], expected["position"])
    restored = layout.detokenize(tokens, layout.carry(state))
    assert list(restored) == list(state)
    assert all(torch.equal(restored[name], state[name]) for name in state)


def test_halo_windows_equal_the_published_ones():
    golden = load_file(GOLDEN / "halo_w16_h3.safetensors")
    windows = slice_halo(golden["sequence"], content=16, halo=3)
    places = slice_halo(torch.arange(53)[:, None], content=16, halo=3)
    assert torch.equal(windows, golden["windows"])
    assert torch.equal(places[..., 0].expand(2, -1, -1), golden["window_position"])
    assert torch.equal(stitch_halo(windows, 53, 16, 3), golden["restored"])
