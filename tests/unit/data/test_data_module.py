import types

import pytest
import pytorch_lightning as pl
import torch

from mzsane.data import ZooData
from mzsane.data.loader import Loader

STEPS = 5  # of an epoch


class Listener(pl.LightningModule):
    """Notes the samples it is shown."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.validated = [], []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch.key.tolist())
        return self.weight * batch.values.mean()

    def validation_step(self, batch, batch_idx):
        self.validated.append(batch.key.tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class SaveAt(pl.Callback):
    """A checkpoint after some step, from within the step's end as on a signal."""

    def __init__(self, path, step):
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            raise KeyboardInterrupt


def fit(stores, folder, checkpoint=None, callbacks=(), workers=0, **limits):
    data = ZooData(stores, 4, 2, 2 * STEPS, validation_windows=1, workers=workers, seed=2)
    module = Listener()
    trainer = pl.Trainer(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        callbacks=list(callbacks), **limits,
    )  # fmt: skip
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except (KeyboardInterrupt, SystemExit):
        assert callbacks
    return trainer, module


@pytest.fixture
def uninterrupted(stores, tmp_path):
    _, module = fit(stores, tmp_path, max_epochs=3)
    return module.seen


def test_lightning_sees_the_stream_once(uninterrupted):
    assert uninterrupted == [[2 * k, 2 * k + 1] for k in range(3 * STEPS)]


@pytest.mark.parametrize("stop", [1, 3, STEPS, STEPS + 2, 2 * STEPS])
def test_a_run_stopped_by_max_steps_goes_on_where_it_was(stores, tmp_path, uninterrupted, stop):
    trainer, first = fit(stores, tmp_path, max_steps=stop)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    _, second = fit(stores, tmp_path, tmp_path / "last.ckpt", max_steps=3 * STEPS)
    assert first.seen + second.seen == uninterrupted


def test_resuming_by_epochs_what_max_steps_cut_short_skips_and_repeats_nothing(
    stores, tmp_path, uninterrupted
):
    trainer, first = fit(stores, tmp_path, max_steps=3)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    _, second = fit(stores, tmp_path, tmp_path / "last.ckpt", max_epochs=3)
    seen = first.seen + second.seen
    # Lightning counts the epoch that max_steps cut short as finished, so the run is shorter
    assert seen == uninterrupted[: len(seen)]
    assert len(seen) > STEPS


@pytest.mark.parametrize("stop", [3, STEPS, STEPS + 2])
def test_a_run_stopped_by_a_signal_goes_on_where_it_was(stores, tmp_path, uninterrupted, stop):
    path = tmp_path / "last.ckpt"
    _, first = fit(stores, tmp_path, None, [SaveAt(path, stop)], max_epochs=3)
    _, second = fit(stores, tmp_path, path, workers=2, max_epochs=3)
    assert first.seen + second.seen == uninterrupted


def test_a_finished_epoch_is_not_repeated(stores, tmp_path, uninterrupted):
    trainer, first = fit(stores, tmp_path, max_epochs=1)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    _, second = fit(stores, tmp_path, tmp_path / "last.ckpt", max_epochs=3)
    assert first.seen + second.seen == uninterrupted


def test_shortened_epochs_repeat_nothing(stores, tmp_path):
    _, module = fit(stores, tmp_path, max_epochs=3, limit_train_batches=4)
    assert module.seen == [[2 * k, 2 * k + 1] for k in range(12)]


def test_validation_shows_everything_each_epoch(stores, tmp_path):
    _, module = fit(stores, tmp_path, max_epochs=2)
    numbers = [number for batch in module.validated for number in batch]
    count = len(numbers) // 2
    assert numbers == [*range(count), *range(count)]


def test_processes_share_the_validation_windows(stores, monkeypatch):
    shares = []
    for rank in range(2):
        data = ZooData(stores, 4, 2, 2 * STEPS, seed=2)
        monkeypatch.setattr(data, "_rank", lambda rank=rank: (rank, 2))
        shares.append([key for batch in data.val_dataloader() for key in batch.key.tolist()])
    count = len(data.validation)
    assert sorted({*shares[0], *shares[1]}) == list(range(count))
    assert [len(share) for share in shares] == [-(-count // 2)] * 2


def test_paths_are_opened_and_sizes_known(stores):
    data = ZooData({name: store.path for name, store in stores.items()}, 4, 8, 100)
    layouts = [store.architectures[0].layout for store in stores.values()]
    assert data.sources == ("cnn", "mlp")
    assert (data.d_token, data.steps_per_epoch) == (201, 12)
    largest = torch.stack([layout.positions[:, :3].amax(0) for layout in layouts]).amax(0) + 1
    assert data.max_positions == tuple(largest.tolist())
    assert isinstance(data.train_dataloader(), Loader)


def test_dense_tokens_have_as_many_row_positions_as_the_longest_layer(tmp_path, make_store, mlp):
    store = make_store(tmp_path / "dense.h5", mlp, 12, (1,), size=3, scheme="dense")
    layout = store.architectures[0].layout
    data = ZooData({"dense": store}, 4, 2, 8)
    assert data.max_positions == tuple((layout.positions[:, :3].amax(0) + 1).tolist())
    assert data.max_positions[2] > max(layer.rows for layer in layout.layers)


def test_total_steps_end_at_the_first_limit(stores):
    data = ZooData(stores, 4, 8, 100)
    assert data.total_steps(3) == 36
    assert data.total_steps(3, 20) == 20
    assert data.total_steps(-1, 20) == 20
    assert data.total_steps(3, accumulate=5) == 9  # of 5, 5 and 2 batches
    with pytest.raises(ValueError, match="max_epochs or max_steps"):
        data.total_steps(None, -1)


def test_a_zoo_too_small_to_validate_on_says_so(tmp_path, make_store, mlp):
    few = make_store(tmp_path / "few.h5", mlp, 2, (1, 2))
    with pytest.raises(ValueError, match=r"few: no model .* validation split.* there are 2; add"):
        ZooData({"few": few}, 4, 2, 8)
    assert len(ZooData({"few": few}, 4, 2, 8, repeat=2).validation) == 2  # trained on


def test_a_missing_store_names_the_command(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nope\.h5.*mzsane\.preprocess"):
        ZooData({"nope": tmp_path / "nope.h5"}, 4, 8, 100)


@pytest.mark.parametrize(("device", "pinned"), [("cuda", True), ("cpu", False)])
def test_batches_for_a_gpu_lie_where_it_can_read_them_while_the_host_goes_on(
    stores, device, pinned, monkeypatch
):
    made = []

    class Spy(torch.utils.data.DataLoader):
        def __init__(self, *arguments, **settings):
            made.append(settings["pin_memory"])

    data = ZooData(stores, 4, 2, 2 * STEPS)
    strategy = types.SimpleNamespace(root_device=torch.device(device))
    data.trainer = types.SimpleNamespace(global_rank=0, world_size=1, strategy=strategy)
    monkeypatch.setattr("mzsane.data.loader.DataLoader", Spy)
    monkeypatch.setattr("mzsane.data.module.DataLoader", Spy)
    data.train_dataloader()
    data.val_dataloader()
    assert made == [pinned, pinned]


@pytest.mark.parametrize(
    ("device", "cores", "asked", "workers"),
    [("cpu", 64, None, 0), ("cuda", 64, None, 6), ("cuda", 8, None, 3), ("cuda", 1, None, 0),
     ("cuda", 64, 2, 2), ("cpu", 64, 2, 2)],
)  # fmt: skip
def test_gpus_are_read_ahead_for_with_the_cores_there_are(
    stores, monkeypatch, device, cores, asked, workers
):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    data = ZooData(stores, 4, 2, 2 * STEPS, validation_windows=1, workers=asked)
    strategy = types.SimpleNamespace(root_device=torch.device(device))
    data.trainer = types.SimpleNamespace(
        num_devices=2, global_rank=0, world_size=2, strategy=strategy
    )
    assert data.val_dataloader().num_workers == workers
