"""Windows of models whose axes are shared by several groups."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from mzsane.architectures import ViT
from mzsane.data import Window, WindowPlan
from mzsane.symmetry import trace
from mzsane.tokens import Layout


class Dense(nn.Module):
    """Two branches side by side, one of them in groups."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 6, 1)
        self.grouped = nn.Conv2d(6, 8, 3, padding=1, groups=2)
        self.norm, self.head = nn.BatchNorm2d(12), nn.Linear(12 * 16, 3)

    def forward(self, images: Tensor) -> Tensor:
        both = torch.cat([self.a(images), self.grouped(self.b(images).relu())], 1)
        return self.head(self.norm(both).relu().flatten(1))


NETWORKS = {"dense": (Dense, (3, 4, 4)), "vit": (lambda: ViT(depth=1, width=8), (1, 28, 28))}


@pytest.mark.parametrize("size", [0, 7, 64])
@pytest.mark.parametrize("scheme", ["channel", "dense"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_permuted_window_is_the_window_of_the_permuted_model(name, scheme, size):
    build, shape = NETWORKS[name]
    network = build()
    symmetry, state = trace(network, torch.zeros(2, *shape)), network.state_dict()
    layout = Layout.of(state, size, scheme)
    plan, flat = WindowPlan(layout, symmetry), layout.flatten(state).numpy()

    @settings(max_examples=20, deadline=None)
    @given(st.data())
    def holds(data):
        start = data.draw(st.integers(0, layout.num_tokens - 1))
        stop = data.draw(st.integers(start + 1, layout.num_tokens))
        permutation = symmetry.random(np.random.default_rng(data.draw(st.integers(0, 2**32))))
        expected = layout.tokenize(symmetry.apply(state, permutation)).numpy()[start:stop]
        window = np.empty(expected.shape, np.float32)
        orders = {group: order[None] for group, order in enumerate(permutation)}
        plan.read(flat[None], [Window(0, start, window)], orders)
        assert np.array_equal(window, expected)

    holds()
