"""Every engine gives the numbers of a plain loop over modules."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from mzsane.architectures import Architecture
from mzsane.images import Split
from mzsane.populations import (
    Population,
    Recipe,
    engines,
    evaluate,
    evaluating,
    fit,
    initialise,
    score,
)
from mzsane.processes import running


@pytest.fixture
def split(population, make_noise, monkeypatch):
    """More images than a batch, with labels of which the second model knows three of four."""
    monkeypatch.setattr(evaluating, "BATCH", 25)
    images, labels = make_noise(population.architecture, 60)
    _, _, predictions = plain(population, Split(images, labels))
    known = torch.arange(len(labels)) % 4 > 0
    return Split(images, torch.where(known, predictions[1], labels))


def plain(population, split):
    """What PyTorch's tutorials do."""
    outcomes = []
    for model in range(len(population)):
        network = population.architecture.build()
        network.load_state_dict(population.state(model))
        network.eval()
        with torch.no_grad():
            logits = network(split.images)
        predicted = logits.argmax(1)
        accuracy = (predicted == split.labels).float().mean()
        outcomes.append((accuracy, cross_entropy(logits, split.labels), predicted))
    return tuple(torch.stack(column) for column in zip(*outcomes, strict=True))


def assert_same(outcome, expected):
    accuracy, loss, predictions = expected
    assert torch.equal(outcome.accuracy, accuracy)
    assert torch.equal(outcome.predictions, predictions)
    torch.testing.assert_close(outcome.loss, loss, atol=1e-5, rtol=0, equal_nan=True)


@pytest.mark.parametrize("engine", [None, "process", "vmap"])
def test_engines_agree_with_a_plain_loop_over_modules(population, split, engine):
    expected = plain(population, split)
    assert expected[0][1] >= 0.75
    assert_same(evaluate(population, split, engine=engine), expected)


def test_processes_agree_with_a_plain_loop_over_modules(population, split, monkeypatch):
    monkeypatch.setattr(engines, "STARTING", 0.0)  # or so little work would stay in this process
    asked = []
    monkeypatch.setattr(engines, "running", lambda *args: asked.append(args[1]) or running(*args))
    assert_same(evaluate(population, split, workers=2), plain(population, split))
    assert asked == [2]


def test_little_work_starts_no_processes(population, split, monkeypatch):
    monkeypatch.setattr(engines, "running", None)
    evaluate(population[:3], split, workers=-1)


@pytest.mark.parametrize("models", [1, 2])
@pytest.mark.parametrize("engine", ["process", "vmap"])
def test_few_models_are_evaluated_like_many(population, split, models, engine):
    part = evaluate(population[:models], split, engine=engine)
    assert_same(part, [column[:models] for column in evaluate(population, split)])


def test_vectorised_models_are_divided_to_fit_into_memory(population, split, monkeypatch):
    whole = evaluate(population, split, engine="vmap")
    monkeypatch.setattr(engines, "BUDGET", 1)
    monkeypatch.setattr(torch.func, "vmap", counted(torch.func.vmap, calls := []))
    assert_same(evaluate(population, split, engine="vmap"), whole)
    assert set(calls) == {1}


def counted(vmap, calls):
    def counting(function, **kwargs):
        mapped = vmap(function, **kwargs)
        return lambda tensors, *rest: (
            calls.append(len(next(iter(tensors.values())))) or mapped(tensors, *rest)
        )

    return counting


@pytest.mark.parametrize("engine", ["process", "vmap"])
def test_an_image_is_judged_alone_by_running_statistics(resnets, make_noise, engine):
    split = make_noise(resnets.architecture, 30)
    before = {name: tensor.clone() for name, tensor in resnets.tensors.items()}
    together = evaluate(resnets, split, engine=engine).loss
    alone = [evaluate(resnets, Split(*(t[i : i + 1] for t in split)), engine=engine).loss
             for i in range(30)]  # fmt: skip
    torch.testing.assert_close(torch.stack(alone).mean(0), together, atol=1e-5, rtol=1e-5)
    assert all(torch.equal(before[name], resnets.tensors[name]) for name in before)


def test_a_single_network_scores_as_in_a_population(population, split):
    network = population.architecture.build()
    network.load_state_dict(population.state(1))
    outcome = score(network.train(), split)
    assert_same(outcome, [column[1:2] for column in evaluate(population, split)])
    assert not network.training


@pytest.mark.parametrize("engine", ["process", "vmap"])
def test_nan_weights_give_nan_loss_and_leave_other_models_alone(population, split, engine):
    healthy = evaluate(population, split, engine=engine)
    name = next(iter(population.tensors))
    broken = population.tensors[name].clone()
    broken[1] = torch.nan
    tensors = population.tensors | {name: broken}
    outcome = evaluate(Population(population.architecture, tensors), split, engine=engine)
    assert outcome.loss.isnan().tolist() == [False, True, False, False]
    assert torch.equal(outcome.accuracy[2:], healthy.accuracy[2:])


def test_images_of_another_shape_are_refused_in_one_sentence(population, make_noise):
    images = make_noise(population.architecture).images[..., 1:]
    shape = str(tuple(images.shape[1:])).replace("(", r"\(").replace(")", r"\)")
    with pytest.raises(
        ValueError, match=f"{population.architecture.name} takes .*{shape}"
    ) as error:
        evaluate(population, Split(images, torch.zeros(60, dtype=torch.int64)))
    assert "\n" not in str(error.value)


class Viewing(torch.nn.Module):
    """Flattens with `view`, as old networks do, which takes no other order in memory."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Conv2d(1, 4, 5, stride=4)
        self.classify = torch.nn.Linear(4 * 6 * 6, 10)

    def forward(self, images):
        return self.classify(self.features(images).view(len(images), -1))


def test_networks_from_elsewhere_run_as_they_are(make_noise):
    architecture = Architecture(f"{__name__}.Viewing", {}, (1, 28, 28), 10, trusted=True)
    population, split = initialise(architecture, range(2)), make_noise(architecture)
    assert_same(evaluate(population, split), plain(population, split))
    network = architecture.build(0)
    fit(network, split, Recipe(batch_size=20, epochs=3, lr=0.01), 0, lambda epoch: None)
    assert score(network, split).loss < evaluate(population, split).loss[0]
