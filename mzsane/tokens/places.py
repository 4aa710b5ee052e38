"""Where tokens stand in their model, and in what kind of layer."""

import re
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from mzsane.tokens.layers import AFFINE, RUNNING_STATISTICS, Layer

PLACE = ("token", "layer", "row", "tokens", "layers", "rows", "kind")
"""Columns of `Layout.positions`: index of the token in its model, of its layer in the model and of
its row in the layer; how many tokens and layers the model has and row indices the layer; number of
the layer's kind in `KINDS`. The first three are the published ones."""

KINDS = ("other", "convolution", "linear", "normalization", "recurrent")
"""Kinds of layers. New ones go to the end: autoencoders learn a vector for each number."""

_RECURRENT = re.compile(r"(weight|bias)_(ih|hh|hr)(_l\d+(_reverse)?)?")


def kind_of(layer: Layer, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What kind of layer this is, as far as the names and shapes of its tensors tell.

    ``recurrent`` is what has the names of torch's recurrent layers and cells; ``normalization`` the
    vectors beside running statistics, and any vector called ``weight``, which LayerNorm's scale is
    and a PReLU's slopes are, too; of the other tensors with ``weight`` in their names
    ``convolution`` has three axes or more and ``linear`` two, embeddings of words included.
    ``other`` is everything else: class token, position embedding, bare bias.

    Args:
        layer: judged by its first tensor.
        shapes: of all floating-point tensors of the state dict, carried ones included.
    """
    name = layer.pieces[0].name
    module, part = name[: name.rfind(".") + 1], name[name.rfind(".") + 1 :]
    axes = len(shapes[name])
    if _RECURRENT.fullmatch(part):
        return "recurrent"
    running = all(module + statistic in shapes for statistic in RUNNING_STATISTICS)
    affine = running and part in (*AFFINE, *RUNNING_STATISTICS)
    if axes == 1 and (affine or part == "weight"):
        return "normalization"
    if "weight" not in name or axes < 2:
        return "other"
    return "linear" if axes == 2 else "convolution"


def positions_of(layers: Sequence[Layer], kinds: Sequence[str]) -> Int[Tensor, "tokens place"]:
    """The columns of `PLACE` for every token.

    Args:
        layers: in token order.
        kinds: of the layers, names of `KINDS`.
    """
    facts = [
        (layer.num_tokens, layer.first_token, layer.tokens_per_row, layer.num_indices)
        for layer in layers
    ]
    count, first, per_row, rows = torch.tensor(facts, dtype=torch.int64).reshape(-1, 4).unbind(1)
    kind = torch.tensor([KINDS.index(kind) for kind in kinds], dtype=torch.int64)
    layer = torch.repeat_interleave(count)
    token = torch.arange(len(layer))
    row = (token - first[layer]) // per_row[layer]
    tokens, depth = (torch.full_like(token, extent) for extent in (len(token), len(layers)))
    return torch.stack([token, layer, row, tokens, depth, rows[layer], kind[layer]], dim=1)
