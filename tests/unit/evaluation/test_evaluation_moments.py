"""How many models are fine-tuned at a time bounds memory and changes no number."""

import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from mzsane.evaluation import Finetuned, Neighbourhood, Transfer, moments
from mzsane.evaluation.judging import Judge
from mzsane.evaluation.methods import Method
from mzsane.evaluation.protocols import finetuned
from mzsane.evaluation.streams import stream_of
from mzsane.evaluation.subjects import Subjects
from mzsane.populations import Recipe, finetune
from mzsane.sampling import stored_models

RECIPE = Recipe("adam", lr=1e-3, batch_size=16, epochs=2)


@pytest.fixture(scope="module")
def ask(cnn_shelf, noise_images):
    near = Neighbourhood.of(cnn_shelf, cnn_shelf.select("train"))
    images = noise_images(cnn_shelf.architecture)
    population = stored_models(cnn_shelf, np.arange(5))

    def rows(protocol):
        judge = Judge(near, 1, torch.device("cpu"))
        method = Method("some", "sampler", lambda images: population)
        stream = partial(stream_of, 0)
        return list(protocol.rows(method, Subjects(population, near), images, judge, stream))

    return rows


@pytest.mark.parametrize("kind", [Finetuned, Transfer])
def test_results_do_not_depend_on_how_many_are_trained_at_a_time(ask, kind, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    trained = []

    def spy(population, *rest):
        trained.append(len(population))
        return finetune(population, *rest)

    monkeypatch.setattr(finetuned, "finetune", spy)
    whole, *others = (repr(ask(kind(RECIPE, None, together))) for together in (None, 1, 2, 5))
    assert others == [whole] * 3
    assert trained == [5, *[1] * 5, 2, 2, 1, 5]
    assert not list(Path(tmp_path).iterdir()), "temporary files are removed"


def test_memory_decides_where_nobody_does(cnn_shelf, monkeypatch):
    population = stored_models(cnn_shelf, np.arange(5))
    each = 4 * sum(tensor[0].numel() for tensor in population.tensors.values())
    monkeypatch.setattr(moments, "MEMORY", 7 * each)
    assert moments.fitting(population, 3) == 2
    assert moments.fitting(population, 8) == 1
    asked = []

    def train(some):
        asked.append(len(population[some]))
        return [population[some]] * 2

    found = list(moments.in_groups(train, 5, 2))
    assert asked == [2, 2, 1]
    for moment in found:
        assert all(torch.equal(t, population.tensors[name]) for name, t in moment.tensors.items())


def test_training_nobody_at_a_time_is_refused():
    with pytest.raises(ValueError, match="train 1 model or more at a time"):
        Finetuned(RECIPE, None, 0)
