"""Noise on inputs, drawn on the device where it is needed (`mzsane.data.counter`)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mzsane.data.batch import Batch
from mzsane.data.counter import CHOICE, ERASE, GOLDEN, NORMAL, mixed, named, shifted, signed


def perturb(
    batch: Batch, seed: int, sigma: float, erase: float = 0.0
) -> Float[Tensor, "batch view window d_token"]:
    """The model's inputs: weights with multiplicative noise, ``t * (1 + sigma * n)``.

    The clean ``batch.values`` stay as they are, to be the target. Views get independent noise.

    Args:
        batch: its keys name the noise.
        seed: of the run.
        sigma: standard deviation of the noise relative to each weight, at least 0.
        erase: probability that an entry is set to zero, in [0, 1].
    """
    values = batch.values
    shape = values.shape[1:]
    if sigma > 0:
        values = values * (1 + sigma * counter_normal(seed, batch.key, shape).to(values.dtype))
    if erase > 0:
        values = values.masked_fill(counter_uniform(seed, batch.key, shape) < erase, 0.0)
    return values.masked_fill(~batch.mask[:, None], 0.0)


def counter_normal(
    seed: int, key: Int[Tensor, " batch"], shape: Sequence[int]
) -> Float[Tensor, "batch ..."]:
    """Standard normal numbers, float32, on the device of `key` (Box and Muller 1958).

    Args:
        seed: of the run; any integer.
        key: name of each sample; any integers.
        shape: of one sample.
    """
    numel = math.prod(shape)
    first, second = _uniforms(seed, NORMAL, key, -(-numel // 2))
    radius, angle = (-2 * first.log()).sqrt(), 2 * math.pi * second
    pairs = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1)
    return pairs.flatten(1)[:, :numel].reshape(len(key), *shape)


def counter_uniform(
    seed: int, key: Int[Tensor, " batch"], shape: Sequence[int]
) -> Float[Tensor, "batch ..."]:
    """Uniform numbers in (0, 1], float32, on the device of `key`; arguments as `counter_normal`."""
    numel = math.prod(shape)
    pairs = torch.stack(_uniforms(seed, ERASE, key, -(-numel // 2)), dim=-1)
    return pairs.flatten(1)[:, :numel].reshape(len(key), *shape)


def counter_choice(
    seed: int, key: Int[Tensor, " batch"], count: int, below: int
) -> Int[Tensor, "batch count"]:
    """Uniform integers in [0, below), with replacement, on the device of `key`.

    Args:
        seed: of the run; any integer.
        key: name of each sample; any integers.
        count: for each sample.
        below: at least 1, and so far from 2^63 that the remainder is as good as uniform.
    """
    return shifted(_bits(seed, CHOICE, key, count), 1) % below


def _uniforms(
    seed: int, purpose: int, key: Int[Tensor, " batch"], count: int
) -> tuple[Float[Tensor, "batch count"], Float[Tensor, "batch count"]]:
    """Two numbers in (0, 1] from the two halves of each of `count` hashes a sample."""
    bits = _bits(seed, purpose, key, count)
    return _unit(shifted(bits, 32)), _unit(bits & 0xFFFFFFFF)


def _bits(
    seed: int, purpose: int, key: Int[Tensor, " batch"], count: int
) -> Int[Tensor, "batch count"]:
    """So many hashes a sample, of 64 bits."""
    start = torch.full((), signed(seed), device=key.device)  # a tensor from the host would wait
    name = named(start, purpose, key.to(torch.int64))
    counter = torch.arange(1, count + 1, device=key.device) * GOLDEN
    return mixed(name[:, None] + counter)


def _unit(bits: Int[Tensor, "batch count"]) -> Float[Tensor, "batch count"]:
    """From 32 bits to (0, 1]; never 0, whose logarithm is infinite."""
    return (bits.to(torch.float32) + 0.5) * 2.0**-32
