"""Reads the weights of models published with SANE (arXiv:2406.09997, arXiv:2504.10141)."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mzsane.models.sane import Sane

OUTSIDE = {
    "tokenizer.": "embed.",
    "detokenizer.": "unembed.",
    "encoder_comp.": "compress.",
    "decoder_comp.": "expand.",
    "pe.pe1.": "positions.token.",
    "pe.pe2.": "positions.layer.",
    "pe.pe3.": "positions.row.",
    "projection_head.head.": "head.layers.",
    "transformer_encoder.transformer.": "encoder.blocks.",
    "transformer_decoder.transformer.": "decoder.blocks.",
}
INSIDE_BLOCK = {
    ".ln_1.": ".norm_attention.",
    ".attn.c_attn.": ".attention.qkv.",
    ".attn.c_proj.": ".attention.out.",
    ".ln_2.": ".norm_mlp.",
    ".mlp.c_fc.": ".expand.",
    ".mlp.c_proj.": ".contract.",
}


def load_published(state: Mapping[str, Tensor], heads: int) -> Sane:
    """The model whose weights `state` holds under their published names.

    Args:
        state: state dict; every size but `heads` follows from its shapes.
        heads: attention heads, which leave no trace in the shapes.

    Raises:
        ValueError: if a name or a shape is not that of a published model.
    """
    ours = {_rename(name): tensor.clone() for name, tensor in state.items()}
    try:
        with torch.device("meta"):  # sizes only: nothing is initialised or drawn
            model = _model_like(ours, heads)
        model.load_state_dict(ours, assign=True)
    except KeyError as error:
        raise ValueError(f"not a published SANE model: nothing becomes {error}") from error
    except RuntimeError as error:
        raise ValueError(f"not a published SANE model: {error}") from error
    return model


def _rename(name: str) -> str:
    for theirs, ours in OUTSIDE.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    for theirs, ours in INSIDE_BLOCK.items():
        name = name.replace(theirs, ours)
    return name


def _model_like(state: Mapping[str, Tensor], heads: int) -> Sane:
    latent, d_model = state["compress.weight"].shape
    projection, flattened = state["head.layers.0.weight"].shape
    tables = [state[f"positions.{axis}.weight"] for axis in ("token", "layer", "row")]
    blocks = {name.split(".")[2] for name in state if name.startswith("encoder.blocks.")}
    return Sane(
        d_token=len(state["unembed.weight"]),
        d_model=d_model,
        heads=heads,
        layers=len(blocks),
        latent=latent,
        window=flattened // latent,
        max_positions=[len(table) for table in tables],
        projection=projection,
    )
