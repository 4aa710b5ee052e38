"""NT-Xent equals a slow loop and the published value, on one process and on several."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from mzsane.losses import NTXent

GOLDEN = Path(__file__).parents[2] / "golden"


def published(key):
    return json.loads((GOLDEN / "golden.json").read_text())[key]


def projections(seed=0, batch=4, width=6):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, batch, width, generator=generator, dtype=torch.float64)


def slow_loss(z_a, z_b, temperature):
    views = [*z_a, *z_b]
    cosine = [[(u @ v / (u.norm() * v.norm())).item() for v in views] for u in views]
    total = 0.0
    for i in range(len(views)):
        j = (i + len(z_a)) % len(views)
        others = [math.exp(cosine[i][k] / temperature) for k in range(len(views)) if k != i]
        total -= math.log(math.exp(cosine[i][j] / temperature) / sum(others))
    return total / len(views)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("batch", [1, 2, 7])
def test_contrast_equals_a_slow_loop(batch, temperature):
    z_a, z_b = projections(batch=batch)
    expected = slow_loss(z_a, z_b, temperature)
    assert NTXent(temperature)(z_a, z_b).item() == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_gradients_of_contrast_are_those_of_the_formula():
    views = [z.requires_grad_() for z in projections()]
    assert torch.autograd.gradcheck(NTXent(0.5), views)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_contrast_equals_the_published_value(temperature):
    golden = load_file(GOLDEN / "loss_inputs.safetensors")
    loss = NTXent(temperature)(golden["z_i"], golden["z_j"])
    assert loss.item() == pytest.approx(published(f"nt_xent_T{temperature}")["loss"], rel=1e-6)


def test_contrast_is_not_rounded_by_autocast():
    z_a, z_b = projections(batch=32).float()
    with torch.autocast("cpu", torch.bfloat16):
        found = NTXent(0.1)(z_a, z_b)
    torch.testing.assert_close(found, NTXent(0.1)(z_a, z_b))


COUNTED = torch.tensor([True, True, True, False])


def test_samples_that_do_not_count_are_seen_by_none():
    z_a, z_b = projections()
    expected = slow_loss(z_a[COUNTED], z_b[COUNTED], 0.1)
    assert NTXent(0.1)(z_a, z_b, COUNTED).item() == pytest.approx(expected, rel=1e-9)
    assert NTXent(0.1)(z_a, z_b, torch.zeros(4, dtype=torch.bool)) == 0


def on_one_rank(rank, folder, z_a, z_b):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    shared = torch.full((), 2.0, dtype=torch.float64, requires_grad=True)
    mine = slice(2 * rank, 2 * rank + 2)
    loss = NTXent(0.1)(z_a[mine] + shared, z_b[mine] * shared)
    loss.backward()
    counted = COUNTED[mine]
    fewer = NTXent(0.1)(z_a[mine], z_b[mine], counted)
    torch.save((loss.detach(), shared.grad, fewer), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_give_the_loss_and_gradient_of_one(tmp_path):
    z_a, z_b = projections(batch=4)
    shared = torch.full((), 2.0, dtype=torch.float64, requires_grad=True)
    expected = NTXent(0.1)(z_a + shared, z_b * shared)
    expected.backward()
    torch.multiprocessing.spawn(on_one_rank, (str(tmp_path), z_a, z_b), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    loss, gradient, fewer = (torch.stack(x).mean() for x in zip(*ranks, strict=True))
    torch.testing.assert_close(loss, expected.detach())
    torch.testing.assert_close(fewer, NTXent(0.1)(z_a[COUNTED], z_b[COUNTED]))
    torch.testing.assert_close(gradient, shared.grad)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_impossible_temperatures_are_refused(temperature):
    with pytest.raises(ValueError, match="must be positive"):
        NTXent(temperature)
