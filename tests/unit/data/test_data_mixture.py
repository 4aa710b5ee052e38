import numpy as np
import pytest

from mzsane.data import mixture

COUNTS = {"cifar10": 300, "cifar100": 100}


@pytest.mark.parametrize(
    ("mix", "expected"),
    [
        ("proportional", [0.75, 0.25]),
        ("uniform", [0.5, 0.5]),
        ("temperature", [3**0.5 / (1 + 3**0.5), 1 / (1 + 3**0.5)]),
        ({"cifar100": 3, "cifar10": 1}, [0.25, 0.75]),
        ({"cifar10": 0, "cifar100": 2}, [0.0, 1.0]),
    ],
)
def test_mixtures_have_their_closed_forms(mix, expected):
    assert np.allclose(mixture(COUNTS, mix), expected)


def test_temperature_lies_between_proportional_and_uniform():
    assert np.allclose(mixture(COUNTS, "temperature", 1.0), mixture(COUNTS, "proportional"))
    assert np.allclose(mixture(COUNTS, "temperature", 1e9), mixture(COUNTS, "uniform"))


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ("even", "mix 'even': choose from proportional, uniform, temperature"),
        ({"cifar1O": 1, "cifar100": 1}, "'cifar1O'; did you mean 'cifar10'"),
        ({"cifar10": 1}, "no weight for cifar100"),
        ({"cifar10": -1, "cifar100": 1}, "not negative"),
        ({"cifar10": float("inf"), "cifar100": 1}, "must be finite"),
        ({"cifar10": float("nan"), "cifar100": 1}, "must be finite"),
        ({"cifar10": 0, "cifar100": 0}, "nor all zero"),
    ],
)
def test_a_wrong_mixture_is_explained(mix, message):
    with pytest.raises(ValueError, match=message):
        mixture(COUNTS, mix)


@pytest.mark.parametrize("temperature", [0.5, 0.0, -1.0, float("nan")])
def test_a_temperature_below_one_is_refused(temperature):
    with pytest.raises(ValueError, match=r"data\.temperature=.*at least 1"):
        mixture(COUNTS, "temperature", temperature)
