"""R² equals a slow loop over the real weights of each group of tokens."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mzsane.losses import MaskedSums, added, explained, masked_sums, r_squared


def random_batch(seed, groups=4, batch=3, window=5, d_token=4):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(2, batch, window, d_token, generator=generator, dtype=torch.float64)
    mask = torch.rand(batch, window, d_token, generator=generator) < 0.7
    mask[:, -1] = False  # padding
    group = torch.randint(0, groups, (batch, window), generator=generator)
    return *values, mask, group.masked_fill(group == 1, 2)


def slow_r_squared(batches, k):
    """1 - residual / total squared deviation, weight by weight."""
    pairs = [
        (prediction[place].item(), target[place].item())
        for prediction, target, mask, group in batches
        for place in map(tuple, mask.nonzero().tolist())
        if group[place[:2]] == k
    ]
    mean = sum(t for _, t in pairs) / len(pairs)
    return 1 - sum((p - t) ** 2 for p, t in pairs) / sum((t - mean) ** 2 for _, t in pairs)


def test_sums_of_batches_give_r_squared_of_each_group():
    batches = [random_batch(seed) for seed in range(3)]
    parts = [masked_sums(*batch, num_groups=5) for batch in batches]
    sums = added(parts)
    scores = r_squared(sums)
    for k in (0, 2, 3):
        assert scores[k].item() == pytest.approx(slow_r_squared(batches, k))
    assert sums.weights[[1, 4]].eq(0).all()
    assert scores[[1, 4]].isnan().all()


def test_groups_together_give_r_squared_of_all():
    batch = random_batch(0)
    sums = MaskedSums(*(part.sum(0) for part in masked_sums(*batch, num_groups=4)))
    whole = (*batch[:3], torch.zeros_like(batch[3]))
    assert r_squared(sums).item() == pytest.approx(slow_r_squared([whole], 0))


def test_padding_is_in_no_sum():
    prediction, target, mask, group = random_batch(0)
    expected = masked_sums(prediction, target, mask, group, 4)
    prediction, target = prediction.masked_fill(~mask, float("nan")), target.masked_fill(~mask, 5)
    found = masked_sums(prediction, target, mask, group, 4)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_no_shape_of_the_sums_depends_on_the_data():
    with torch.device("meta"):  # where reading a value is an error
        values, mask = torch.zeros(2, 3, 4), torch.zeros(2, 3, 4, dtype=torch.bool)
        group = torch.zeros(2, 3, dtype=torch.int64)
    assert masked_sums(values, values, mask, group, 2).residual.shape == (2,)


class Dtypes(TorchDispatchMode):
    """Remembers of which kinds the numbers are that are computed with."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, arguments=(), settings=None):
        made = function(*arguments, **(settings or {}))
        if isinstance(made, torch.Tensor):
            self.seen.add(made.dtype)
        return made


def test_an_apple_gpu_is_asked_for_nothing_wider_than_it_has(monkeypatch):
    assert explained.widest(torch.device("mps")) == torch.float32
    assert explained.widest(torch.device("cuda", 0)) == torch.float64
    prediction, target, *places = random_batch(0)
    wide = masked_sums(prediction, target, *places, num_groups=5)
    monkeypatch.setattr(explained, "widest", lambda device: torch.float32)
    with Dtypes() as dtypes:
        sums = masked_sums(prediction.float(), target.float(), *places, num_groups=5)
    assert torch.float32 in dtypes.seen
    assert torch.float64 not in dtypes.seen
    torch.testing.assert_close(added([sums]), wide, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_small_batches_count_beside_large_ones(dtype):
    sizes = [2.0**24] + [1.0] * 100  # together no float32 that is grown one by one
    batches = [MaskedSums(*torch.full((4, 1), size, dtype=dtype)) for size in sizes]
    for total in added(batches):
        assert total.dtype == torch.float64
        assert total.tolist() == [2.0**24 + 100]
