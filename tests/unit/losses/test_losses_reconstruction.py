"""Each reconstruction loss equals a slow loop over the weights, and padding contributes nothing."""

import json
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from mzsane.losses import MaskedReconstruction

GOLDEN = Path(__file__).parents[2] / "golden"
NAMES = ["token", "token_dim", "window", "layer", "batch", "none"]


def random_batch(seed=0, batch=3, window=5, d_token=4, layers=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    prediction, target = torch.randn(2, batch, window, d_token, generator=generator, dtype=dtype)
    mask = torch.rand(batch, window, d_token, generator=generator) < 0.7
    layer = torch.randint(0, layers, (batch, window), generator=generator)
    return prediction, target, mask, layer


def scope_of(name, b, w, d, layer):
    """What two entries must share to be measured by the same spread."""
    scopes = {"token": (b, w), "token_dim": d, "window": b, "layer": layer[b, w].item(), "batch": 0}
    return scopes[name]


def slow_loss(name, prediction, target, mask, layer, eps):
    places = [tuple(place) for place in mask.nonzero().tolist()]
    members = {}
    if name != "none":
        for place in places:
            members.setdefault(scope_of(name, *place, layer), []).append(target[place].item())
    total = 0.0
    for place in places:
        t, p = target[place].item(), prediction[place].item()
        if name != "none":
            values = members[scope_of(name, *place, layer)]
            mean = sum(values) / len(values)
            std = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
            t, p = (t - mean) / (std + eps), (p - mean) / (std + eps)
        total += (t - p) ** 2
    return total / max(len(places), 1)


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6), eps=st.sampled_from([1e-4, 1e-2, 1.0]))
def test_loss_equals_a_slow_loop(name, seed, eps):
    batch = random_batch(seed)
    expected = slow_loss(name, *batch, eps)
    assert MaskedReconstruction(name, eps)(*batch).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_reconstruction_are_those_of_the_formula(name):
    prediction, *rest = random_batch()
    loss = MaskedReconstruction(name, eps=0.1)
    assert torch.autograd.gradcheck(lambda x: loss(x, *rest), prediction.requires_grad_())


@pytest.mark.parametrize(
    ("name", "key", "tolerance"),
    [
        ("batch", "recon_loss_batch_normalized", 1e-6),
        ("none", "recon_loss_none", 1e-12),
        ("token", "recon_loss_token_normalized", 1e-12),
    ],
)
def test_loss_equals_the_published_value(name, key, tolerance):
    golden = load_file(GOLDEN / "loss_inputs.safetensors")
    prediction, target = golden["prediction"].double(), golden["target"].double()
    layer = torch.zeros(golden["mask"].shape[:2], dtype=torch.int64)
    loss = MaskedReconstruction(name)(prediction, target, golden["mask"].bool(), layer)
    expected = json.loads((GOLDEN / "golden.json").read_text())[key]["loss"]
    assert loss.item() == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [0.0, 1e9, float("nan"), float("inf")])
def test_padding_contributes_nothing(name, content):
    prediction, target, mask, layer = random_batch()
    mask[0, 3:] = False
    expected = MaskedReconstruction(name)(prediction, target, mask, layer)
    padded = [x.masked_fill(~mask, content).requires_grad_() for x in (prediction, target)]
    padded[1] = padded[1].detach()
    layer = layer.clone()
    layer[0, 3:] = 99
    loss = MaskedReconstruction(name)(*padded, mask, layer)
    loss.backward()
    assert torch.equal(loss, expected)
    assert not padded[0].grad[~mask].any()
    assert padded[0].grad[mask].all()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "none"])
def test_the_scale_of_a_zoo_does_not_change_its_loss(name):
    prediction, target, mask, layer = random_batch()
    mask[:] = True
    loss = MaskedReconstruction(name, eps=1e-12)
    scaled = loss(prediction * 50 + 7, target * 50 + 7, mask, layer)
    torch.testing.assert_close(scaled, loss(prediction, target, mask, layer))


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_is_summed_in_float32(name):
    prediction, target, mask, layer = random_batch(batch=8, window=32, d_token=64)
    halves = prediction.bfloat16(), target.bfloat16()
    found = MaskedReconstruction(name)(*halves, mask, layer)
    expected = MaskedReconstruction(name)(*(h.double() for h in halves), mask, layer)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_without_weights_costs_nothing(name):
    prediction, target, mask, layer = random_batch()
    assert MaskedReconstruction(name)(prediction, target, mask & False, layer) == 0


@pytest.mark.parametrize("name", NAMES)
def test_no_shape_depends_on_the_data(name):
    with torch.device("meta"):  # where reading a value is an error
        values, mask = torch.zeros(2, 3, 4), torch.zeros(2, 3, 4, dtype=torch.bool)
        layer = torch.zeros(2, 3, dtype=torch.int64)
    assert MaskedReconstruction(name)(values, values, mask, layer).shape == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("tokens",), "choose from token, token_dim"), (("token", 0.0), "must be positive")],
)
def test_unknown_settings_of_reconstruction_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MaskedReconstruction(*arguments)


def shared_losses(prediction, target, mask, layer):
    """Loss and gradient of one shared number, by normalisation."""
    found = []
    for name in NAMES:
        shared = torch.full((), 2.0, dtype=torch.float64, requires_grad=True)
        loss = MaskedReconstruction(name)(prediction * shared, target, mask, layer)
        loss.backward()
        found.append(torch.stack([loss.detach(), shared.grad]))
    return torch.stack(found)


def on_one_rank(rank, folder, tensors):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    mine = [tensor[2 * rank : 2 * rank + 2] for tensor in tensors]
    torch.save(shared_losses(*mine), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_give_the_loss_and_gradient_of_one(tmp_path):
    prediction, target, mask, layer = random_batch(batch=4)
    mask[:2, 2:] = False  # the ranks have different numbers of weights
    tensors = (prediction, target, mask, layer)
    torch.multiprocessing.spawn(on_one_rank, (str(tmp_path), tensors), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    torch.testing.assert_close(torch.stack(ranks).mean(0), shared_losses(*tensors))
