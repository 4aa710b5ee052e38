"""Seeds of models by name: zoo, image set, number."""

from mzsane.zoos.building.training import model_seed


def test_models_of_other_zoos_start_from_other_weights():
    zoos = [("digits", 0), ("printed", 0), ("digits", 1)]
    assert len({model_seed(seed, images, n) for images, seed in zoos for n in range(50)}) == 150
