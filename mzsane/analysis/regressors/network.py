"""A small fully connected network that predicts shares."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from mzsane.analysis.regressors.learning import Answers, Regressor, Split, no_shares

HIDDEN = (256, 256)
BATCH = 32
RATE = 1e-3
STEPS, EVERY = 1000, 20
"""Of training, and between two answers; how many are used is chosen on validation."""


def network(
    task: str, train: Split, validation: np.ndarray, asked: np.ndarray, seed: int
) -> Answers:
    r"""Two hidden layers with ReLU and a sigmoid, trained with binary cross-entropy.

    .. math:: \hat y = \sigma(W_3 r(W_2 r(W_1 x))), \quad
              L = -\textstyle\sum_i y_i \log \hat y_i + (1 - y_i) \log(1 - \hat y_i)

    "StatNN" of Zhou et al. 2023 (arXiv:2302.14040), with Adam at the published rate; Unterthiner
    et al. 2020 (arXiv:2002.11448) searched networks of three layers and more, with squared error.
    Published for StatNN are 1,000 units, batches of 8, 50 epochs and features as they are; here 256
    units, batches of 32 that are drawn with replacement, 1,000 steps at most and standardised
    features, so that a zoo takes seconds. Weights are He's (arXiv:1502.01852), those of the last
    layer 0, so that the first guess is the mean of the training models. The seed draws weights and
    batches.
    """
    scale = np.sqrt(np.square(train.x).mean())  # 1, but in coordinates of a span
    x, known, unknown = (
        torch.from_numpy(np.asarray(values / scale, np.float32))
        for values in (train.x, validation, asked)
    )
    y = torch.from_numpy(np.asarray(train.y, np.float32))
    generator = torch.Generator().manual_seed(seed)
    model = _initial(x.shape[1], float(y.mean().logit()), generator)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    for step in range(1, STEPS + 1):
        rows = torch.randint(len(x), (BATCH,), generator=generator)
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(model(x[rows])[:, 0], y[rows]).backward()
        optimizer.step()
        if step % EVERY == 0:
            yield float(step), _shares(model, known), _shares(model, unknown)


def _initial(columns: int, logit: float, generator: torch.Generator) -> nn.Sequential:
    with torch.device("meta"):  # where nothing is drawn from the global state
        layers = [nn.Linear(*sizes) for sizes in pairwise((columns, *HIDDEN, 1))]
        model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    model.to_empty(device="cpu")
    for layer in layers:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(layer.bias)
    nn.init.zeros_(layers[-1].weight)
    nn.init.constant_(layers[-1].bias, logit)
    return model


def _shares(model: nn.Sequential, x: Float[Tensor, "rows dims"]) -> Float[np.ndarray, " rows"]:
    with torch.no_grad():
        return model(x)[:, 0].sigmoid().double().numpy()


NETWORK = Regressor(network, True, no_shares)
