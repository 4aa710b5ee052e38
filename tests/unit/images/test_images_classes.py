"""A network trained on one set can be shown the others."""

import torch
from torch.nn.functional import normalize

from mzsane.images import Split, digits, printed


def mean_pictures(split: Split):
    """What sets a class apart from the others, as one direction for each class."""
    means = torch.stack([split.images[split.labels == c].mean(0).flatten() for c in range(10)])
    return normalize(means - means.mean(0), dim=1)


def test_a_label_means_the_same_digit_in_all_sets():
    nearest = (mean_pictures(digits().train) @ mean_pictures(printed(images=600).train).T).argmax(1)
    assert (nearest == torch.arange(10)).sum() >= 8
