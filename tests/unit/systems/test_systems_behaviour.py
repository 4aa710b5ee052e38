"""Networks of windows answer as they would alone; others, and padding, change nothing."""

from functools import partial

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.data import Batch
from mzsane.data.noise import counter_choice
from mzsane.losses import Behaviour, MaskedReconstruction, NTXent, SaneLoss, Term
from mzsane.models import Sane
from mzsane.systems import Answering, Networks, Pretraining
from mzsane.tokens import PLACE, Layout

MLP = Architecture("mzsane.architectures.MLP", {"width": [6, 5]}, (1, 4, 4), 3)
OTHER = Architecture("mzsane.architectures.MLP", {"width": [4]}, (1, 4, 4), 2)
WINDOW, D_TOKEN, QUERIES, SEED = 16, 17, 4, 5
LAYOUTS = [Layout.of(a.build(seed=0).state_dict(), D_TOKEN) for a in (MLP, OTHER)]


def asked(shelf, architecture, layout):
    with torch.device("meta"):
        network = architecture.build()
    images = torch.randn(20, 1, 4, 4, generator=torch.Generator().manual_seed(shelf))
    return Answering(
        shelf, layout.num_tokens, partial(layout.detokenize, carried={}), network, images
    )


@pytest.fixture
def networks():
    shelves = zip(range(2), (MLP, OTHER), LAYOUTS, strict=True)
    return Networks([asked(*shelf) for shelf in shelves])


@pytest.fixture
def batch():
    """Two models of the first shelf, one of the second, one of a third that nobody knows."""
    shelf = torch.tensor([0, 1, 0, 2])
    values = torch.zeros(4, 2, WINDOW, D_TOKEN)
    mask = torch.zeros(4, WINDOW, D_TOKEN, dtype=torch.bool)
    positions = torch.zeros(4, WINDOW, len(PLACE), dtype=torch.int64)
    for at, number in enumerate(shelf.tolist()):
        architecture, layout = ((MLP, LAYOUTS[0]), (OTHER, LAYOUTS[1]))[number % 2]
        tokens = layout.tokenize(architecture.build(seed=at).state_dict())
        values[at, :, : len(tokens)] = tokens
        mask[at, : len(tokens)] = layout.mask
        positions[at, : len(tokens)] = layout.positions
    segment = mask.any(-1).long() - 1
    return Batch(values, mask, positions, segment, shelf % 2, shelf + 7, shelf, mixed=True)


def alone(architecture, layout, tokens, images):
    network = architecture.build().eval()
    network.load_state_dict(layout.detokenize(tokens[: layout.num_tokens], {}))
    return network(images)


def test_answers_are_those_of_each_network_alone(networks, batch):
    prediction = batch.values.flatten(0, 1) * 1.1
    found = networks.answers(batch, prediction, SEED, QUERIES)
    for number, (architecture, layout) in enumerate(zip((MLP, OTHER), LAYOUTS, strict=True)):
        images = networks.shelves[number].images
        places = counter_choice(SEED, batch.key, QUERIES, len(images))
        real = (batch.shelf == number).repeat_interleave(2)
        assert torch.equal(found[number].real, real)
        for row in real.nonzero().flatten().tolist():
            own = images[places[row // 2]]
            clean = alone(architecture, layout, batch.values.flatten(0, 1)[row], own)
            decoded = alone(architecture, layout, prediction[row], own)
            torch.testing.assert_close(found[number].original[row], clean)
            torch.testing.assert_close(found[number].reconstructed[row], decoded)


def test_gradients_reach_the_decoded_weights_of_asked_networks_only(networks, batch):
    prediction = (batch.values.flatten(0, 1) * 1.1).requires_grad_()
    first = networks.answers(batch, prediction, SEED, QUERIES)[0]
    (first.original - first.reconstructed).square().sum().backward()
    asked = (batch.shelf == 0).repeat_interleave(2)
    assert prediction.grad[asked].flatten(1).any(1).all()
    assert not prediction.grad[~asked].any()
    assert not prediction.grad[~batch.mask.repeat_interleave(2, 0)].any()


def test_other_windows_may_hold_anything(networks, batch):
    prediction = batch.values.flatten(0, 1).clone()
    expected = networks.answers(batch, prediction, SEED, QUERIES)[0]
    prediction[(batch.shelf != 0).repeat_interleave(2)] = float("nan")
    found = networks.answers(batch, prediction.requires_grad_(), SEED, QUERIES)[0]
    assert found.reconstructed.isfinite().all()
    assert torch.equal(found.reconstructed[found.real], expected.reconstructed[expected.real])
    found.reconstructed.sum().backward()
    assert prediction.grad.isfinite().all()


def test_questions_depend_on_seed_and_sample_alone(networks, batch):
    prediction = batch.values.flatten(0, 1)
    ask = partial(networks.answers, batch, prediction)
    assert torch.equal(ask(SEED, QUERIES)[0].original, ask(SEED, QUERIES)[0].original)
    assert not torch.equal(ask(SEED, QUERIES)[0].original, ask(SEED + 1, QUERIES)[0].original)
    tensors = {name: x[2:] for name, x in batch._asdict().items() if name != "mixed"}
    part = networks.answers(batch._replace(**tensors), prediction[4:], SEED, QUERIES)[0]
    torch.testing.assert_close(part.original[:2], ask(SEED, QUERIES)[0].original[4:6])


def test_autocast_does_not_round_answers(networks, batch):
    prediction = batch.values.flatten(0, 1)
    expected = networks.answers(batch, prediction, SEED, QUERIES)[0]
    with torch.autocast("cpu", torch.bfloat16):
        found = networks.answers(batch, prediction, SEED, QUERIES)[0]
    assert torch.equal(found.reconstructed, expected.reconstructed)


def test_behaviour_is_part_of_a_step_and_its_networks_of_no_checkpoint(networks, batch):
    torch.manual_seed(0)
    loss = SaneLoss(
        MaskedReconstruction(), NTXent(), terms={"behaviour": Term(Behaviour(QUERIES), 0.5)}
    )
    model = Sane(D_TOKEN, 8, 2, 1, 3, WINDOW, positions="sinusoidal")
    settings = (partial(torch.optim.AdamW), partial(torch.optim.lr_scheduler.LinearLR))
    module = Pretraining(model, loss, *settings, 1, ("a", "b"), networks=networks)
    parts, outputs = module._step(batch, 0.0, 0.0)
    answers = networks.answers(batch, outputs, module.seed, QUERIES)
    errors = [(a.original - a.reconstructed).square().mean((1, 2))[a.real] for a in answers]
    torch.testing.assert_close(parts["behaviour"], torch.cat(errors).mean())
    parts["behaviour"].backward()
    assert model.unembed.weight.grad.any()
    assert module.state_dict().keys() == {f"model.{name}" for name in model.state_dict()}
