"""The weights of models published with SANE (arXiv:2406.09997, arXiv:2504.10141)."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

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


def is_published(state: Mapping[str, Tensor]) -> bool:
    """Whether these tensors have the published names rather than ours."""
    return any(name.startswith(tuple(OUTSIDE)) for name in state)


def translate(state: Mapping[str, Tensor], heads: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The settings of `Sane` for published weights, and these under our names.

    Args:
        state: under the published names; every size but `heads` follows from its shapes.
        heads: attention heads, which leave no trace in the shapes.

    Raises:
        ValueError: if a tensor is missing from which a size would follow.
    """
    ours = {_rename(name): tensor for name, tensor in state.items()}
    try:
        return _settings(ours, heads), ours
    except KeyError as error:
        raise ValueError(f"not a published SANE model: nothing becomes {error}") from error


def _rename(name: str) -> str:
    for theirs, ours in OUTSIDE.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
            break
    for theirs, ours in INSIDE_BLOCK.items():
        name = name.replace(theirs, ours)
    return name


def _settings(state: Mapping[str, Tensor], heads: int) -> dict[str, Any]:
    latent, d_model = state["compress.weight"].shape
    projection, flattened = state["head.layers.0.weight"].shape
    tables = [state[f"positions.{axis}.weight"] for axis in ("token", "layer", "row")]
    blocks = {name.split(".")[2] for name in state if name.startswith("encoder.blocks.")}
    return {
        "d_token": len(state["unembed.weight"]),
        "d_model": d_model,
        "heads": heads,
        "layers": len(blocks),
        "latent": latent,
        "window": flattened // latent,
        "max_positions": [len(table) for table in tables],
        "projection": projection,
        "init": "published",
    }
