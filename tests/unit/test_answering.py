"""Who the behavioural loss asks in a run, and what it says where nobody can answer."""

from types import SimpleNamespace

import pytest
import torch

from mzsane.answering import networks_of
from mzsane.architectures import Architecture
from mzsane.losses import Behaviour, MaskedReconstruction, NTXent, SaneLoss, Term
from mzsane.tokens import Layout

MLP = Architecture("mzsane.architectures.MLP", {"width": [6, 5]}, (1, 4, 4), 3)
RESNET = Architecture("mzsane.architectures.ResNet18", {"width": 4}, (1, 4, 4), 3)


def loss(weight):
    terms = {"behaviour": Term(Behaviour(), weight)}
    return SaneLoss(MaskedReconstruction(), NTXent(), terms=terms)


def shelf(architecture):
    layout = Layout.of(architecture.build(seed=0).state_dict(), 64)
    return SimpleNamespace(architecture=architecture, layout=layout)


def run(window=10**4, shape=(1, 4, 4), **shelves):
    images = SimpleNamespace(name="noise", train=SimpleNamespace(images=torch.zeros(9, *shape)))
    stores = {name: SimpleNamespace(architectures=kinds) for name, kinds in shelves.items()}
    sources = {name: SimpleNamespace(images=lambda: images) for name in shelves}
    return sources, SimpleNamespace(stores=stores, window=window)


def test_networks_keep_the_numbers_of_their_shelves(caplog):
    networks = networks_of(loss(0.1), *run(a=[shelf(RESNET), shelf(MLP)], b=[shelf(MLP)]))
    assert [each.shelf for each in networks.shelves] == [1, 2]
    assert "a: its networks have running statistics" in caplog.text


def test_nothing_is_loaded_for_a_loss_that_does_not_ask():
    assert networks_of(loss(0.0), None, None) is None


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"window": 3}, r"its models have \d+ tokens, a window 3"),
        ({"shape": (3, 4, 4)}, r"noise has images of \(3, 4, 4\), it takes \(1, 4, 4\)"),
    ],
)
def test_a_run_in_which_nobody_can_answer_is_refused(settings, reason):
    with pytest.raises(ValueError, match=f"no network can be asked .a: {reason}"):
        networks_of(loss(0.1), *run(a=[shelf(MLP)], **settings))
