"""The vision transformer of the published zoos, and a small one for small images."""

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from mzsane.architectures.layers import dropout_layer, initialise_weights, nonlinearity_named

EXPANSION = 4  # hidden features of a block's perceptron, in widths
SPREAD = 0.02  # standard deviation of the first positions and of the class token


class ViT(nn.Module):
    """Pre-norm transformer over image patches and a class token (arXiv:2010.11929).

    Names are timm's. ``patch_size=16, width=384, depth=12, heads=6, image_size=(224, 224),
    classes=1000`` is ViT-S/16 with 22,050,664 weights; the default has 40,682.

    Args:
        channels_in: colours of the images.
        classes: number of logits.
        image_size: height and width of the images, multiples of the patches'.
        patch_size: height and width of a patch in pixels.
        width: features of a token.
        depth: blocks.
        heads: of attention; they share the width among them.
        dropout: probability in [0, 1), after the perceptron's nonlinearity.
        initialisation: ``uniform``, ``normal``, ``kaiming_uniform`` or ``kaiming_normal`` for
            linear layers and patches; biases start at 0.01.
        head: hidden features of the classifier; empty makes it a linear layer.
        head_nonlinearity: between the classifier's layers.

    Raises:
        ValueError: sizes that do not divide each other, or an unknown name.
    """

    def __init__(
        self,
        channels_in: int = 1,
        classes: int = 10,
        image_size: Sequence[int] = (28, 28),
        patch_size: int = 7,
        width: int = 32,
        depth: int = 3,
        heads: int = 4,
        dropout: float = 0.0,
        initialisation: str = "kaiming_uniform",
        head: Sequence[int] = (),
        head_nonlinearity: str = "relu",
    ) -> None:
        super().__init__()
        _require_divisible(image_size, patch_size, width, heads)
        patches = (image_size[0] // patch_size) * (image_size[1] // patch_size)
        self.cls_token = nn.Parameter(SPREAD * torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(SPREAD * torch.randn(1, 1 + patches, width))
        self.patch_embed = PatchEmbedding(channels_in, width, patch_size)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = _classifier([width, *head, classes], head_nonlinearity)
        initialise_weights(self, initialisation)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        patches = self.patch_embed(images)
        start = self.cls_token.expand(images.shape[0], -1, -1)
        tokens = torch.cat([start, patches], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(tokens))[:, 0])


class PrefixedViT(nn.Module):
    """A `ViT` of the same arguments whose names start with ``vit.``, as in the published zoo."""

    @functools.wraps(ViT.__init__)  # the signature tells what can be filled in, and mistakes
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.vit = ViT(*args, **kwargs)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.vit(images)


class PatchEmbedding(nn.Module):
    """One token a patch, row by row."""

    def __init__(self, channels_in: int, width: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels_in, width, patch_size, patch_size)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch patches features"]:
        """The tokens."""
        return self.proj(images).flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Attention and a perceptron, each added to the stream after a LayerNorm before it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Perceptron(width, dropout)

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """The stream after the block."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class Attention(nn.Module):
    """Self-attention (arXiv:1706.03762); rows of `qkv` are ordered by (q k v, head, feature)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """What each token gathers from all."""
        split = self.qkv(tokens).unflatten(2, (3, self.heads, -1))
        queries, keys, values = split.permute(2, 0, 3, 1, 4).unbind(0)
        gathered = scaled_dot_product_attention(queries, keys, values)
        return self.proj(gathered.transpose(1, 2).flatten(2))


class Perceptron(nn.Module):
    """Two linear layers with a GELU between them, for each token by itself."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, EXPANSION * width)
        self.act = nn.GELU()
        self.drop = dropout_layer(dropout)
        self.fc2 = nn.Linear(EXPANSION * width, width)

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        """The tokens' new features."""
        return self.fc2(self.drop(self.act(self.fc1(tokens))))


def _classifier(features: Sequence[int], nonlinearity: str) -> nn.Module:
    """A linear layer, or several under the names 0, 2, ... with nonlinearities between them."""
    activation = nonlinearity_named(nonlinearity)
    layers: list[nn.Module] = []
    for before, after in pairwise(features):
        layers += [nn.Linear(before, after), activation()]
    return layers[0] if len(features) == 2 else nn.Sequential(*layers[:-1])


def _require_divisible(image_size: Sequence[int], patch_size: int, width: int, heads: int) -> None:
    if any(side % patch_size for side in image_size):
        raise ValueError(
            f"patch_size: {patch_size} does not divide image_size {list(image_size)}; choose one "
            "that does"
        )
    if width % heads:
        raise ValueError(f"heads: {heads} do not share a width of {width}; choose a divisor")
