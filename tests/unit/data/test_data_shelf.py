"""A batch says of which shelf its models are."""

import torch

from mzsane.data import ValidationWindows, WindowDataset, counter_choice


def test_windows_name_the_shelf_of_their_models(stores):
    shelves = [shelf for store in stores.values() for shelf in store.architectures]
    for windows in (WindowDataset(stores, 64, 0), ValidationWindows(stores, 64, 0)):
        batch = windows.__getitems__(range(8))
        for row, number in enumerate(batch.shelf.tolist()):
            layout = shelves[number].layout
            assert torch.equal(batch.mask[row, : layout.num_tokens], layout.mask)
            assert int((batch.segment[row] == 0).sum()) == layout.num_tokens


def test_choices_are_uniform_and_a_function_of_seed_and_sample():
    keys = torch.arange(1000)
    chosen = counter_choice(3, keys, 64, 10)
    counts = chosen.flatten().bincount(minlength=10)
    expected = chosen.numel() / 10
    assert len(counts) == 10
    assert float(((counts - expected) ** 2 / expected).sum()) < 40  # chi square, 9 degrees
    assert torch.equal(counter_choice(3, keys[5:7], 64, 10), chosen[5:7])
    assert not torch.equal(counter_choice(4, keys, 64, 10), chosen)
