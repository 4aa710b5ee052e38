"""Several short models in one window."""

import multiprocessing

import numpy as np
import pytest
import torch

from mzsane.data import Batch, ValidationWindows, WindowDataset
from mzsane.models import Sane

SEED = 3


@pytest.fixture(scope="module")
def batch(stores):
    """Windows that hold one model of the first source and more, or four of the second."""
    return WindowDataset(stores, 50, SEED, mix="uniform", pack=True).__getitems__(range(24))


def pieces(batch, at):
    """Each model of a window, as the places of its tokens."""
    segment = batch.segment[at]
    return [(segment == number).nonzero()[:, 0] for number in range(int(segment.max()) + 1)]


def test_packed_windows_are_full_of_several_models_of_one_source(stores, batch):
    assert (batch.segment >= 0).all()
    assert batch.mixed
    for at in range(len(batch.key)):
        layout = list(stores.values())[batch.source[at]].architectures[0].layout
        places = pieces(batch, at)
        assert len(places) >= 50 // layout.num_tokens
        for place in places:
            start = int(batch.positions[at, place[0], 0])
            span = slice(start, start + len(place))
            assert torch.equal(batch.positions[at, place], layout.positions[span])
            assert torch.equal(batch.mask[at, place], layout.mask[span])
        assert all(len(place) == layout.num_tokens for place in places[:-1])


def test_each_piece_is_a_window_of_a_model(stores, batch):
    found = set()
    for at in range(len(batch.key)):
        shelf = list(stores.values())[batch.source[at]].architectures[0]
        tokens = shelf.layout.tokenize(shelf.states(np.arange(len(shelf))))
        for place in pieces(batch, at):
            start = int(batch.positions[at, place[0], 0])
            same = tokens[:, start : start + len(place)] == batch.values[at, 0, place]
            rows = same.flatten(1).all(1).nonzero()[:, 0]
            assert len(rows)
            found.update((int(batch.source[at]), int(row)) for row in rows)
    assert len(found) > 10


def test_packed_samples_are_functions_of_seed_and_number(stores, batch):
    again = WindowDataset(stores, 50, SEED, mix="uniform", pack=True)[17]
    for name, part in zip(Batch._fields[:-1], again[:-1], strict=True):
        assert torch.equal(part[0], getattr(batch, name)[17]), name


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "relative"])
def test_a_token_influences_its_own_model_only(batch, positions):
    torch.manual_seed(0)
    largest = (batch.positions[..., :3].amax((0, 1)) + 1).tolist()
    model = Sane(batch.values.shape[-1], 16, 2, 2, 4, 50, positions, largest, layer_kind=True)
    for parameter in model.encoder.parameters():
        parameter.data.mul_(10)  # attention moves a lot from token to token
    at = next(at for at in range(24) if batch.segment[at].max() > 1)
    windows = batch.values[at : at + 1, 0], batch.positions[at : at + 1], batch.segment[at : at + 1]
    changed = windows[0].clone()
    changed[windows[2] == 1] += 1
    before, after = model(*windows), model(changed, *windows[1:])
    for old, new in zip(before, after, strict=True):
        moved = (old != new).any(-1)
        assert not moved[windows[2] != 1].any()
        assert moved[windows[2] == 1].all()


@pytest.mark.parametrize("positions", ["sinusoidal", "relative"])
def test_a_packed_model_is_encoded_as_it_is_by_itself(batch, positions):
    torch.manual_seed(0)
    model = Sane(batch.values.shape[-1], 16, 2, 2, 4, 50, positions, layer_kind=True)
    latents, tokens = model(batch.values[:, 0], batch.positions, batch.segment)
    for at in range(4):
        for place in pieces(batch, at):
            alone = model(batch.values[at : at + 1, 0, place], batch.positions[at : at + 1, place])
            for packed, single in zip((latents, tokens), alone, strict=True):
                torch.testing.assert_close(packed[at, place], single[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("pack", [False, True])
def test_validation_shows_the_same_tokens_packed_or_padded(stores, pack):
    windows = [ValidationWindows(stores, 50, SEED, pack=packed) for packed in (False, pack)]
    rows = []
    for dataset in windows:
        batch = dataset.__getitems__(range(len(dataset)))
        real = batch.segment >= 0
        both = batch.values.transpose(1, 2)[real].flatten(1)
        rows.append(torch.cat([batch.positions[real], both], dim=1))
    assert torch.equal(*rows)
    assert (len(windows[1]) < len(windows[0])) == pack


def test_windows_that_one_model_fills_need_no_mask(stores):
    assert not WindowDataset(stores, 8, SEED).__getitems__(range(9)).mixed
    assert not WindowDataset(stores, 8, SEED, pack=True).__getitems__(range(9)).mixed
    assert WindowDataset(stores, 50, SEED).__getitems__(range(9)).mixed


def test_a_batch_in_use_is_not_overwritten(stores):
    dataset = WindowDataset(stores, 20, SEED)
    first = dataset.__getitems__(range(4))
    view, copy = first.values[2:, 1].transpose(0, 1), first.values[2:, 1].transpose(0, 1).clone()
    del first
    for start in range(4, 60, 4):
        dataset.__getitems__(range(start, start + 4))
    assert torch.equal(view, copy)


def test_memory_is_used_again_once_a_batch_is_gone(stores):
    dataset = WindowDataset(stores, 20, SEED)
    places = {dataset.__getitems__(range(k, k + 4)).values.data_ptr() for k in range(0, 40, 4)}
    assert len(places) == 1
    held = [dataset.__getitems__(range(k, k + 4)) for k in range(0, 40, 4)]
    assert len({batch.values.data_ptr() for batch in held}) == len(held)


def _values(path, seed):
    from mzsane.stores import TokenStore

    return WindowDataset({"cnn": TokenStore.open(path)}, 20, seed).__getitems__(range(9)).values


def test_several_processes_read_one_store_at_once(stores):
    path = stores["cnn"].path
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.starmap(_values, [(path, 1), (path, 1), (path, 2)])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], _values(path, 1))
    assert not torch.equal(found[0], found[2])
