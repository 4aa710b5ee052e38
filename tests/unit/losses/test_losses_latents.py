"""Losses of latents equal slow loops, on one process and on several; padding counts nowhere."""

import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.losses import LatentCycle, LatentNorm, LatentVariance, Step

LOSSES = {"cycle": LatentCycle(), "norm": LatentNorm(), "variance": LatentVariance(1.5)}
WIDTH, LATENT = 4, 3


def random_step(seed=0, windows=4, window=5, dtype=torch.float64):
    """Windows of which the last tokens fill up; the encoder is one matrix and a sine."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)

    length = torch.randint(1, window + 1, (windows,), generator=generator)
    segment = -(torch.arange(window) >= length[:, None]).long()
    mask = torch.rand(windows, window, WIDTH, generator=generator) < 0.7
    down = draw(WIDTH, LATENT)
    return Step(
        prediction=draw(windows, window, WIDTH),
        target=draw(windows, window, WIDTH),
        mask=mask & (segment >= 0).unsqueeze(-1),
        layer=torch.zeros(windows, window, dtype=torch.int64),
        segment=segment,
        latents=draw(windows, window, LATENT),
        projections=draw(windows // 2, 2, 6),
        encode=lambda tokens: (tokens @ down).sin(),
    )


def real_places(step):
    return [tuple(place) for place in (step.segment >= 0).nonzero().tolist()]


def slow_cycle(step):
    again = step.encode(torch.where(step.mask, step.prediction, 0.0))
    total = 0.0
    for place in real_places(step):
        for new, old in zip(again[place].tolist(), step.latents[place].tolist(), strict=True):
            total += (new - old) ** 2
    return total / (len(real_places(step)) * LATENT)


def slow_norm(step):
    squares = [z**2 for place in real_places(step) for z in step.latents[place].tolist()]
    return sum(squares) / len(squares)


def slow_variance(step, spread=1.5, eps=1e-4):
    total = 0.0
    for j in range(LATENT):
        values = [step.latents[place][j].item() for place in real_places(step)]
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / (len(values) - 1)
        total += max(0.0, spread - (variance + eps) ** 0.5)
    return total / LATENT


SLOW = {"cycle": slow_cycle, "norm": slow_norm, "variance": slow_variance}


@pytest.mark.parametrize("name", LOSSES)
@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_loss_of_latents_equals_a_slow_loop(name, seed):
    step = random_step(seed)
    assert LOSSES[name](step).item() == pytest.approx(SLOW[name](step), rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_the_formula(name):
    step = random_step()
    field = "prediction" if name == "cycle" else "latents"
    start = getattr(step, field).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](step._replace(**{field: x})), start)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("content", [1e9, float("nan"), float("inf")])
def test_padding_reaches_no_loss_of_latents(name, content):
    step = random_step()
    fill = step.segment.unsqueeze(-1) < 0
    latents = step.latents.masked_fill(fill, content).requires_grad_()
    prediction = step.prediction.masked_fill(~step.mask, content).requires_grad_()
    loss = LOSSES[name](step._replace(latents=latents, prediction=prediction))
    loss.backward()
    assert torch.equal(loss, LOSSES[name](step))
    for gradient, padding in (
        (latents.grad, fill.expand_as(latents)),
        (prediction.grad, ~step.mask),
    ):
        assert gradient is None or not gradient[padding].any()


def test_the_cycle_does_not_pull_latents_towards_their_copies():
    step = random_step()
    latents = step.latents.requires_grad_()
    decoded = latents @ torch.ones(LATENT, WIDTH, dtype=torch.float64)
    direct = torch.autograd.grad(LatentCycle()(step._replace(prediction=decoded)), latents)[0]
    constant = step._replace(prediction=decoded, latents=latents.detach().clone())
    decoded = latents @ torch.ones(LATENT, WIDTH, dtype=torch.float64)
    expected = torch.autograd.grad(LatentCycle()(constant._replace(prediction=decoded)), latents)[0]
    assert torch.equal(direct, expected)


def test_spread_latents_cost_nothing_and_collapsed_ones_their_spread():
    step = random_step(windows=40)
    assert LatentVariance(0.1)(step) == 0
    collapsed = step._replace(latents=torch.ones_like(step.latents))
    assert LatentVariance(2.0, eps=1e-8)(collapsed).item() == pytest.approx(2.0, abs=2e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_latents_of_half_precision_are_summed_in_float32(name):
    halves = random_step(windows=64, window=32, dtype=torch.bfloat16)
    exact = {f: getattr(halves, f).double() for f in ("latents", "prediction")}
    encoded = halves.encode(halves.prediction.masked_fill(~halves.mask, 0)).double()
    expected = LOSSES[name](halves._replace(**exact, encode=lambda tokens: encoded))
    found = LOSSES[name](halves)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_of_padding_alone_has_a_finite_loss(name):
    step = random_step()
    nothing = step._replace(segment=torch.full_like(step.segment, -1))
    assert LOSSES[name](nothing).isfinite()


@pytest.mark.parametrize("name", LOSSES)
def test_no_shape_depends_on_the_latents(name):
    step = random_step()
    tensors = {f: x.to("meta") for f, x in step._asdict().items() if isinstance(x, torch.Tensor)}
    assert LOSSES[name](step._replace(**tensors, encode=lambda x: x[..., :LATENT])).shape == ()


def shared_losses(step):
    """Loss and gradient of one shared number, by name."""
    found = []
    for loss in LOSSES.values():
        shared = torch.full((), 0.7, dtype=torch.float64, requires_grad=True)
        changed = {f: getattr(step, f) * shared for f in ("latents", "prediction")}
        value = loss(step._replace(**changed))
        value.backward()
        found.append(torch.stack([value.detach(), shared.grad]))
    return torch.stack(found)


def on_one_rank(rank, folder):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    step = random_step()
    own = {
        f: x[2 * rank : 2 * rank + 2]
        for f, x in step._asdict().items()
        if isinstance(x, torch.Tensor) and f != "projections"
    }
    torch.save(shared_losses(step._replace(**own)), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_give_the_losses_of_latents_and_gradients_of_one(tmp_path):
    whole = random_step()
    assert (whole.segment[:2] >= 0).sum() != (whole.segment[2:] >= 0).sum()
    torch.multiprocessing.spawn(on_one_rank, (str(tmp_path),), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    torch.testing.assert_close(torch.stack(ranks).mean(0), shared_losses(whole))


@pytest.mark.parametrize("settings", [(0.0, 1e-4), (1.0, 0.0)])
def test_impossible_spreads_are_refused(settings):
    with pytest.raises(ValueError, match="must be positive"):
        LatentVariance(*settings)
