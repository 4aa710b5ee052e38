import functools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mzsane.systems import constant, cosine, warmup_stable_decay


def rates(schedule, steps):
    """Learning rate of each step, of an optimizer whose own is 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    scheduler = schedule(optimizer, total_steps=steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_constant_is_constant():
    assert rates(constant, 5) == [1.0] * 5


def test_warmup_rises_in_equal_steps_and_wastes_none():
    assert rates(functools.partial(constant, warmup=0.3), 10) == pytest.approx(
        [0.25, 0.5, 0.75] + [1.0] * 7
    )


def test_cosine_equals_its_formula():
    found = rates(functools.partial(cosine, warmup=0.2, floor=0.1), 10)
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * n / 8)) / 2 for n in range(8)]
    assert found == pytest.approx([1 / 3, 2 / 3, *expected])


def test_stable_lies_between_warmup_and_decay():
    found = rates(functools.partial(warmup_stable_decay, warmup=0.2, decay=0.4), 10)
    assert found == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])


@pytest.mark.parametrize("schedule", [constant, cosine, warmup_stable_decay])
@given(steps=st.integers(1, 60), warmup=st.floats(0, 0.5))
def test_every_step_of_any_run_learns(schedule, steps, warmup):
    found = rates(functools.partial(schedule, warmup=warmup), steps)
    assert all(0 < rate <= 1 for rate in found)
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)


def test_no_decay_is_none():
    assert rates(functools.partial(warmup_stable_decay, warmup=0, decay=0), 4) == [1.0] * 4


@pytest.mark.parametrize(
    ("schedule", "settings", "said"),
    [
        (constant, {"warmup": 1.1}, r"scheduler\.warmup=1\.1: a share"),
        (cosine, {"floor": -0.1}, r"scheduler\.floor=-0\.1: a share"),
        (warmup_stable_decay, {"warmup": 0.6, "decay": 0.5}, "more than all steps"),
    ],
)
def test_impossible_schedules_are_refused(schedule, settings, said):
    with pytest.raises(ValueError, match=said):
        rates(functools.partial(schedule, **settings), 10)
