"""The behavioural loss equals a slow loop over networks, images and logits."""

import pytest
import torch
import torch.distributed as dist

from mzsane.losses import Answers, Behaviour, Step


def random_answers(seed=0, networks=4, queries=3, classes=5):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, networks, queries, classes)
    original, reconstructed = torch.randn(shape, generator=generator, dtype=torch.float64)
    return Answers(original, reconstructed, torch.rand(networks, generator=generator) < 0.6)


def step_with(*answers):
    places = torch.zeros(4, 2, dtype=torch.int64)
    tokens = torch.zeros(4, 2, 3, dtype=torch.float64)
    return Step(
        prediction=tokens,
        target=tokens,
        mask=tokens == 0,
        layer=places,
        segment=places,
        latents=tokens,
        projections=tokens,
        encode=lambda x: x,
        answers=lambda queries: answers,
    )


def slow_loss(*answers):
    errors = []
    for original, reconstructed, real in answers:
        for network in range(len(real)):
            if real[network]:
                pairs = zip(
                    original[network].flatten(), reconstructed[network].flatten(), strict=True
                )
                squares = [(o.item() - r.item()) ** 2 for o, r in pairs]
                errors.append(sum(squares) / len(squares))
    return sum(errors) / len(errors)


@pytest.mark.parametrize("seed", range(3))
def test_behaviour_equals_a_slow_loop_over_all_architectures(seed):
    answers = random_answers(seed), random_answers(seed + 10, classes=2)
    assert Behaviour()(step_with(*answers)).item() == pytest.approx(slow_loss(*answers), rel=1e-12)


def test_gradients_of_behaviour_are_those_of_the_formula():
    original, reconstructed, real = random_answers()

    def loss(x):
        return Behaviour()(step_with(Answers(original, x, real)))

    assert torch.autograd.gradcheck(loss, reconstructed.requires_grad_())


def test_originals_are_no_aim_of_gradients():
    original, reconstructed, real = random_answers()
    answers = Answers(original.requires_grad_(), reconstructed.requires_grad_(), real)
    Behaviour()(step_with(answers)).backward()
    assert original.grad is None
    assert reconstructed.grad.any()


def test_answers_of_other_networks_count_nowhere():
    original, reconstructed, real = random_answers()
    changed = torch.where(real[:, None, None], reconstructed, 1e9)
    expected = Behaviour()(step_with(Answers(original, reconstructed, real)))
    assert torch.equal(Behaviour()(step_with(Answers(original, changed, real))), expected)


def test_a_batch_without_a_whole_network_costs_nothing():
    answers = random_answers()
    assert Behaviour()(step_with(answers._replace(real=answers.real & False))) == 0


def test_as_many_images_are_asked_for_as_set():
    seen = []
    step = step_with()._replace(answers=lambda queries: seen.append(queries) or ())
    Behaviour(queries=7)(step)
    assert seen == [7]


def on_one_rank(rank, folder, answers):
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    mine = Answers(*(x[2 * rank : 2 * rank + 2] for x in answers))
    torch.save(Behaviour()(step_with(mine)), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_give_the_behavioural_loss_of_one(tmp_path):
    answers = random_answers()._replace(real=torch.tensor([True, False, True, True]))
    torch.multiprocessing.spawn(on_one_rank, (str(tmp_path), answers), nprocs=2)
    ranks = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    torch.testing.assert_close(torch.stack(ranks).mean(), Behaviour()(step_with(answers)))


def test_behaviour_without_networks_is_refused():
    with pytest.raises(ValueError, match="needs networks that answer"):
        Behaviour()(step_with()._replace(answers=None))


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="at least one image"):
        Behaviour(queries=0)
