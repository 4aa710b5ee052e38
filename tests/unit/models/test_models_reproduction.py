"""One training step of the published model, held against its formulas in float64.

The reference below is written from the papers' formulas, on the published names. It gives the
published outputs (golden files), so its loss and gradients are those of the published model.
"""

from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from mzsane.losses import MaskedReconstruction, NTXent, SaneLoss, Step
from mzsane.models import Sane
from mzsane.models.published import translate

GOLDEN = Path(__file__).parents[2] / "golden"
HEADS, GAMMA, TEMPERATURE, EPS = 4, 0.05, 0.1, 1e-4


def reference_block(x, w):
    batch, window, width = x.shape
    normed = F.layer_norm(x, (width,), w("ln_1.weight"))
    q, k, v = (
        part.view(batch, window, HEADS, -1).transpose(1, 2)
        for part in (normed @ w("attn.c_attn.weight").T).split(width, -1)
    )
    attention = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
    x = x + (attention @ v).transpose(1, 2).reshape(x.shape) @ w("attn.c_proj.weight").T
    hidden = F.layer_norm(x, (width,), w("ln_2.weight")) @ w("mlp.c_fc.weight").T
    return x + F.gelu(hidden) @ w("mlp.c_proj.weight").T


def reference(state, x, position):
    """Latents, reconstruction and projection by the published names."""

    def linear(name, value):
        return value @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def stack(name, value):
        for layer in range(2):
            prefix = f"{name}.transformer.{layer}."
            value = reference_block(value, lambda part, prefix=prefix: state[prefix + part])
        return value

    pe1, pe2, pe3 = (state[f"pe.pe{n + 1}.weight"][position[..., n]] for n in range(3))
    place = torch.cat([pe1 + pe2, pe3], -1)
    z = linear("encoder_comp", stack("transformer_encoder", linear("tokenizer", x) + place))
    y = linear("detokenizer", stack("transformer_decoder", linear("decoder_comp", z) + place))
    p, head = z.flatten(1), "projection_head.head."
    for matrix, norm in ((0, 1), (3, 4)):
        weight, bias = (state[f"{head}{norm}.{name}"] for name in ("weight", "bias"))
        p = F.layer_norm(p @ state[f"{head}{matrix}.weight"].T, (30,), weight, bias).relu()
    return z, y, p


def reference_loss(y, target, mask, projections):
    """gamma NT-Xent + (1 - gamma) reconstruction in units of the spread of the batch."""
    spread = target[mask].std(correction=0) + EPS
    reconstruction = ((y - target)[mask] / spread).square().mean()
    half = len(projections) // 2
    similarity = F.cosine_similarity(projections[:, None], projections[None], dim=-1) / TEMPERATURE
    similarity = similarity.masked_fill(torch.eye(2 * half, dtype=torch.bool), -torch.inf)
    contrast = F.cross_entropy(similarity, torch.arange(2 * half).roll(half))
    return GAMMA * contrast + (1 - GAMMA) * reconstruction


@pytest.fixture
def state():
    return load_file(GOLDEN / "autoencoder_weights.safetensors")


@pytest.fixture
def batch():
    """Two views of the golden windows, the second ones' tokens in another order, and a mask."""
    golden = load_file(GOLDEN / "autoencoder_forward.safetensors")
    x = torch.cat([golden["x"], golden["x"].roll(1, 1)])
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.8
    return x.masked_fill(~mask, 0), golden["position"].repeat(2, 1, 1), mask


def test_the_reference_is_the_published_model(state):
    golden = load_file(GOLDEN / "autoencoder_forward.safetensors")
    doubles = {name: tensor.double() for name, tensor in state.items()}
    found = reference(doubles, golden["x"].double(), golden["position"])
    for value, name in zip(found, ("z", "y", "projection"), strict=True):
        torch.testing.assert_close(value.float(), golden[name], atol=5e-6, rtol=1e-5)


def test_loss_and_gradients_of_a_step_are_those_of_the_published_model(state, batch):
    x, position, mask = batch
    doubles = {name: tensor.double().requires_grad_() for name, tensor in state.items()}
    _, y, projected = reference(doubles, x.double(), position)
    expected = reference_loss(y, x.double(), mask, projected)
    expected.backward()

    model = Sane.from_published(state, HEADS)
    latents, decoded = model(x, position)
    projections = model.project(latents).unflatten(0, (2, -1)).transpose(0, 1)
    step = Step(
        prediction=decoded,
        target=x,
        mask=mask,
        layer=position[..., 1],
        segment=torch.zeros(x.shape[:2], dtype=torch.int64),
        latents=latents,
        projections=projections,
        encode=partial(model.encode, positions=position),
    )
    objective = SaneLoss(MaskedReconstruction("batch", EPS), NTXent(TEMPERATURE), GAMMA)
    loss = objective(step)["loss"]
    loss.backward()

    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    gradients = translate({name: t.grad for name, t in doubles.items()}, HEADS)[1]
    for name, parameter in model.named_parameters():
        error = (parameter.grad - gradients[name]).norm() / gradients[name].norm()
        assert error < 2e-5, name
    assert gradients.keys() == dict(model.named_parameters()).keys()
