"""Pre-LayerNorm transformer blocks as in GPT-2, without a causal mask and without biases."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Heads = Float[Tensor, "batch heads window d_head"]
INIT_STD = 0.02
"""Spread of initial weights in GPT-2; projections into the residual stream have less."""


class Attention(nn.Module):
    """Multi-head self-attention within one sequence.

    Args:
        d_model: width of the residual stream, a multiple of `heads`.
        heads: attention heads.
        dropout: probability of dropping an attention weight.
    """

    def __init__(self, d_model: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(d_model, 3 * d_model, bias=False)
        self.out = nn.Linear(d_model, d_model, bias=False)

    def forward(
        self,
        x: Float[Tensor, "batch window d_model"],
        attend: Bool[Tensor, "batch 1 window window"] | None,
    ) -> Float[Tensor, "batch window d_model"]:
        """Each place attends to those where `attend` is True, or to all of the window."""
        batch, window, d_model = x.shape
        q, k, v = (
            part.view(batch, window, self.heads, -1).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        mixed = _attention(q, k, v, attend, self.dropout if self.training else 0.0)
        return self.out(mixed.transpose(1, 2).reshape(batch, window, d_model))


class Block(nn.Module):
    """Attention and a GELU network of width 4d, each behind a LayerNorm and beside a shortcut.

    Args:
        d_model: width of the residual stream.
        heads: attention heads.
        dropout: probability of dropping an attention weight or an entry added to the stream.
    """

    def __init__(self, d_model: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(d_model, bias=False)
        self.attention = Attention(d_model, heads, dropout)
        self.norm_mlp = nn.LayerNorm(d_model, bias=False)
        self.expand = nn.Linear(d_model, 4 * d_model, bias=False)
        self.contract = nn.Linear(4 * d_model, d_model, bias=False)
        self.drop = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch window d_model"],
        attend: Bool[Tensor, "batch 1 window window"] | None,
    ) -> Float[Tensor, "batch window d_model"]:
        """The residual stream after this block."""
        x = x + self.drop(self.attention(self.norm_attention(x), attend))
        wide = self.expand(self.norm_mlp(x))
        # The output of GELU, a quarter of what a block would keep for its gradient, is computed
        # again instead, which is exact and costs a hundredth of the block. Nothing random is.
        narrow = checkpoint(self._shrink, wide, use_reentrant=False, preserve_rng_state=False)
        return x + self.drop(narrow)

    def _shrink(self, wide: Float[Tensor, "batch window wide"]) -> Tensor:
        return self.contract(F.gelu(wide))


class Transformer(nn.Module):
    r"""A stack of blocks.

    Linear weights start from :math:`N(0, 0.02^2)`, projections into the residual stream from
    :math:`0.02 / \sqrt{2L}`, so that the stream's spread does not grow with depth `L`.

    Attributes:
        checkpointing: keep of each block only what goes into it, and compute the rest again for the
            gradient (arXiv:1604.06174): about a tenth of the memory for a third more arithmetic.

    Args:
        d_model: width of the residual stream.
        heads: attention heads; `d_model` is a multiple of it.
        layers: blocks.
        dropout: see `Block`.

    Raises:
        ValueError: if `d_model` is not a multiple of `heads`.
    """

    def __init__(self, d_model: int, heads: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model % heads:
            raise ValueError(f"d_model {d_model} is not a multiple of heads {heads}")
        blocks = [Block(d_model, heads, dropout) for _ in range(layers)]
        for block in blocks:
            for linear in (block.attention.qkv, block.expand):
                nn.init.normal_(linear.weight, std=INIT_STD)
            for linear in (block.attention.out, block.contract):
                nn.init.normal_(linear.weight, std=INIT_STD / (2 * layers) ** 0.5)
        self.blocks = nn.ModuleList(blocks)
        self.checkpointing = False

    def forward(
        self,
        x: Float[Tensor, "batch window d_model"],
        segment: Int[Tensor, "batch window"] | None = None,
    ) -> Float[Tensor, "batch window d_model"]:
        """Transform windows.

        Args:
            x: one vector per token.
            segment: number of each token's sequence in its window; tokens attend within their own.
                Padding is -1, one more sequence, for one that attends to nothing becomes NaN.
                None says that a window is one sequence, which lets attention choose its fastest
                kernel.
        """
        attend = None if segment is None else (segment[:, None, :, None] == segment[:, None, None])
        for block in self.blocks:
            again = self.checkpointing and torch.is_grad_enabled()
            x = checkpoint(block, x, attend, use_reentrant=False) if again else block(x, attend)
        return x


def _attention(
    q: Heads,
    k: Heads,
    v: Heads,
    attend: Bool[Tensor, "batch 1 window window"] | None,
    dropout: float,
) -> Heads:
    """Scaled dot-product attention; on a CPU in at least float32.

    Its kernels for CPUs take twice as long in bfloat16.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=attend, dropout_p=dropout)
    dtype = torch.promote_types(q.dtype, torch.float32)
    with torch.autocast("cpu", enabled=False):
        mixed = F.scaled_dot_product_attention(
            q.to(dtype), k.to(dtype), v.to(dtype), attn_mask=attend, dropout_p=dropout
        )
    return mixed.to(q.dtype)
