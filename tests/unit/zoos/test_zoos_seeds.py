"""Seeds of models by name: zoo, image set, number."""

from mzsane.architectures import Architecture
from mzsane.populations import Recipe
from mzsane.zoos.training import Trial


def seeds(images, seed):
    network = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
    return {Trial(network, Recipe(), (1,), seed, index, images).model_seed for index in range(50)}


def test_models_of_other_zoos_start_from_other_weights():
    zoos = [seeds("digits", 0), seeds("printed", 0), seeds("digits", 1)]
    assert len(set.union(*zoos)) == 150
