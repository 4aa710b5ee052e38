import numpy as np
import pytest
import torch

from mzsane.data import ValidationWindows, WindowDataset, filling
from mzsane.zoos import split_of

WINDOW = 20


@pytest.fixture
def dataset(stores):
    return WindowDataset(stores, WINDOW, seed=1, mix="uniform")


def assert_equal(a, b):
    for name, x, y in zip(a._fields, a, b, strict=True):
        assert x == y if isinstance(x, bool) else torch.equal(x, y), name


def test_a_sample_is_a_function_of_seed_and_number(stores, dataset):
    batch = dataset.__getitems__([5, 900, 17])
    again = WindowDataset(stores, WINDOW, seed=1, mix="uniform")
    for at, k in enumerate((5, 900, 17)):
        single = type(batch)(*(part[at : at + 1] for part in batch[:-1]), mixed=again[k].mixed)
        assert_equal(again[k], single)
    other = WindowDataset(stores, WINDOW, seed=2, mix="uniform")
    assert not torch.equal(other.__getitems__(range(8)).positions,
                           dataset.__getitems__(range(8)).positions)  # fmt: skip


def models_of(stores, dataset, batch):
    """For each sample, the state dicts' tokens of the models whose window it can be."""
    for at in range(len(batch.key)):
        shelf = stores[dataset.sources[int(batch.source[at])]].architectures[0]
        start, real = int(batch.positions[at, 0, 0]), batch.segment[at] >= 0
        tokens = shelf.layout.tokenize(shelf.states(np.arange(len(shelf))))
        window = batch.values[at, 0][real]
        same = (tokens[:, start : start + len(window)] == window).flatten(1).all(1)
        yield at, shelf, start, np.flatnonzero(same.numpy())


def test_view_zero_is_a_window_of_a_training_model_and_view_one_is_it_permuted(stores, dataset):
    batch = dataset.__getitems__(range(40))
    assert len(set(batch.source.tolist())) == 2
    for at, shelf, start, rows in models_of(stores, dataset, batch):
        assert any(split_of(str(shelf.models[row])) == "train" for row in rows)
        count = int((batch.segment[at] >= 0).sum())
        span = slice(start, start + count)
        assert torch.equal(batch.positions[at, :count], shelf.layout.positions[span])
        assert torch.equal(batch.mask[at, :count], shelf.layout.mask[span])


def test_view_one_holds_the_tokens_of_the_permuted_model(stores):
    shelf = stores["mlp"].architectures[0]
    whole = WindowDataset({"mlp": stores["mlp"]}, shelf.layout.num_tokens, seed=0)
    batch = whole.__getitems__(range(20))
    network = shelf.architecture.build(seed=0)
    images = torch.rand(6, *shelf.architecture.input_shape)
    moved = 0
    for views in batch.values:
        outputs = []
        for tokens in views:
            network.load_state_dict(shelf.layout.detokenize(tokens, {}))
            outputs.append(network(images))
        assert torch.allclose(*outputs, atol=1e-4)
        moved += int(not torch.equal(*views))
    assert moved == 20


def test_models_shorter_than_the_window_are_filled_up_and_marked(stores):
    tokens = stores["mlp"].architectures[0].layout.num_tokens
    batch = WindowDataset({"mlp": stores["mlp"]}, tokens + 3, seed=0)[0]
    assert batch.segment[0].tolist() == [0] * tokens + [-1] * 3
    assert batch.mixed
    assert not batch.mask[0, tokens:].any()
    assert not batch.values[0, :, tokens:].any()
    assert not batch.positions[0, tokens:].any()


def test_window_starts_are_uniform_with_both_ends(stores):
    length = stores["cnn"].architectures[0].layout.num_tokens
    dataset = WindowDataset({"cnn": stores["cnn"]}, length - 4, seed=0)
    starts = dataset.__getitems__(range(1500)).positions[:, 0, 0]
    counts = torch.bincount(starts, minlength=5)
    assert len(counts) == 5
    assert float(((counts - 300.0) ** 2 / 300).sum()) < 20  # chi square, 4 degrees of freedom


def test_sources_come_as_often_as_their_weights_say(stores):
    dataset = WindowDataset(stores, 2, seed=0, mix={"cnn": 1, "mlp": 3})
    share = dataset.__getitems__(range(2000)).source.double().mean()
    assert abs(float(share) - 0.75) < 0.04
    never = WindowDataset(stores, 2, seed=0, mix={"cnn": 0, "mlp": 1})
    assert never.__getitems__(range(200)).source.min() == 1


def test_checkpoints_are_drawn_equally_often(stores):
    dataset = WindowDataset({"mlp": stores["mlp"]}, 1, seed=0)
    shelf = stores["mlp"].architectures[0]
    rows = shelf.select("train")
    drawn = [cuts[0].row for cuts in dataset._draw(np.arange(300 * len(rows)))]
    counts = np.bincount(drawn, minlength=len(shelf))
    assert set(np.flatnonzero(counts)) == set(rows)
    assert np.abs(counts[rows] - 300).max() < 100


def test_fewer_models_and_epochs_narrow_the_stream(stores):
    dataset = WindowDataset({"cnn": stores["cnn"]}, 1, seed=0, num_models=3, epochs=[2])
    assert dataset.counts == {"cnn": 3}
    with pytest.raises(ValueError, match="cnn: num_models=1000"):
        WindowDataset(stores, 1, seed=0, num_models=1000)


def test_stores_of_different_token_sizes_are_refused(stores, make_store, mlp, tmp_path):
    other = make_store(tmp_path / "other.h5", mlp, 2, (1,), size=16)
    with pytest.raises(ValueError, match=r"other: its tokens have 16 entries, those of cnn 201"):
        WindowDataset({"cnn": stores["cnn"], "other": other}, 4, seed=0)


def test_wrong_settings_are_refused(stores):
    with pytest.raises(ValueError, match=r"data\.window=0"):
        WindowDataset(stores, 0, seed=0)
    with pytest.raises(ValueError, match="no source given"):
        WindowDataset({}, 4, seed=0)


@pytest.mark.parametrize("window", [1, 7, 20, 1000])
def test_validation_covers_every_token_of_every_held_out_model(stores, window):
    dataset = ValidationWindows(stores, window, seed=0)
    batch = dataset.__getitems__(range(len(dataset)))
    real = batch.segment >= 0
    for source, store in enumerate(stores.values()):
        (shelf,) = store.architectures
        held_out = len(shelf.select("validation"))
        mine = batch.source == source
        seen = torch.bincount(
            batch.positions[mine][real[mine]][:, 0], minlength=shelf.layout.num_tokens
        )
        assert held_out > 0
        assert real[mine].sum(1).eq(min(window, shelf.layout.num_tokens)).all()
        assert len(seen) == shelf.layout.num_tokens
        assert seen.min() == held_out


def test_validation_windows_can_be_fewer(stores):
    dataset = ValidationWindows({"cnn": stores["cnn"]}, 5, seed=0, per_model=3)
    rows = len(stores["cnn"].architectures[0].select("validation"))
    assert len(dataset) == 3 * rows
    length = stores["cnn"].architectures[0].layout.num_tokens
    starts = dataset.__getitems__(range(3)).positions[:, 0, 0].tolist()
    assert (starts[0], starts[-1]) == (0, length - 5)


def test_models_that_a_few_windows_cover_get_no_more(stores):
    cover, most = (ValidationWindows(stores, WINDOW, 0, per_model=n) for n in (None, 50))
    assert len(most) == len(cover)
    assert_equal(*(each.__getitems__(range(len(cover))) for each in (cover, most)))


@pytest.mark.parametrize("count", [0, -1])
def test_fewer_than_one_validation_window_is_refused(stores, count):
    with pytest.raises(ValueError, match="at least one window of each model"):
        ValidationWindows(stores, 5, seed=0, per_model=count)


def test_validation_is_the_same_every_time(stores):
    first, second = (ValidationWindows(stores, 9, seed=4) for _ in range(2))
    assert_equal(first.__getitems__(range(9)), second.__getitems__(range(9)))


@pytest.mark.parametrize("pack", [False, True])
def test_filtered_rows_are_in_no_window(stores, pack):
    kept = {name: s.filtered({"late": lambda c: c["epoch"] == 2}) for name, s in stores.items()
            if name == "cnn"}  # fmt: skip
    for dataset in (
        WindowDataset(kept, WINDOW, seed=1, pack=pack),
        ValidationWindows(kept, WINDOW, seed=1, pack=pack),
    ):
        cuts = [cut for sample in dataset._draw(np.arange(12)) for cut in sample]
        assert {int(cut.part.shelf.epochs[cut.row]) for cut in cuts} == {2}


def test_half_precision_shelves_give_the_rounded_windows(stores, make_store, cnn, tmp_path):
    half = make_store(tmp_path / "cnn.h5", cnn, 24, (1, 2), dtype="float16")
    batches = [
        WindowDataset({"cnn": store}, WINDOW, seed=1).__getitems__(range(20))
        for store in (half, stores["cnn"])
    ]
    assert batches[0].values.dtype == torch.float32
    assert torch.equal(batches[0].values, batches[1].values.half().float())
    assert not torch.equal(batches[0].values, batches[1].values)


@pytest.mark.parametrize("source", ["cnn", "mlp"])
def test_orders_of_channels_are_uniform_in_every_group(stores, source):
    shelf = stores[source].architectures[0]
    dataset = WindowDataset({source: stores[source]}, shelf.layout.num_tokens, seed=3)
    drawn = filling._orders([cuts[0] for cuts in dataset._draw(np.arange(3000))])
    assert len(drawn) == len(shelf.symmetry.groups)
    for group, orders in drawn.items():
        size = shelf.symmetry.groups[group].size
        assert (np.sort(orders, axis=1) == np.arange(size)).all()
        counts = np.stack([np.bincount(column, minlength=size) for column in orders.T])
        expected = len(orders) / size
        assert ((counts - expected) ** 2 / expected).sum() < 1.5 * (size - 1) ** 2 + 6 * size
