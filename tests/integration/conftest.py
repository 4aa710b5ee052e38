"""A tiny store, and the parts of a run on it."""

import functools

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from warm import Warm

from mzsane.architectures import Architecture
from mzsane.callbacks import LastCheckpoint
from mzsane.config import CONF_DIR
from mzsane.data import ZooData
from mzsane.losses import MaskedReconstruction, NTXent, SaneLoss
from mzsane.models import Sane
from mzsane.schemas import register_schemas
from mzsane.stores import TokenStore, write_store
from mzsane.systems import Pretraining
from mzsane.tokens import KINDS
from mzsane.zoos import ModelRecord, held

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """Runs the real command without waiting for its imports."""
    with Warm(tmp_path_factory.mktemp("warm")) as running:
        yield running


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Where all runs of debug=fast have their data, so that one zoo is built."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "tiny.h5"
    records = (
        ModelRecord(f"model{n}", 1, held(CNN.build(n).state_dict()), {"test_acc": n / 12}, CNN)
        for n in range(12)
    )
    write_store(path, records, name="tiny", size=201)
    return TokenStore.open(path)


class Parts:
    """Everything of one run; made anew for every start, as by a new process."""

    def __init__(
        self, store, folder, extra=(), every=0, epochs=2, batch_size=4, sources=("tiny",), **trainer
    ):
        pl.seed_everything(0, verbose=False)
        stores = dict.fromkeys(sources, store)
        self.data = ZooData(stores, 48, batch_size, samples_per_epoch=5 * batch_size)
        places = {"positions": "relative", "layer_kind": True}
        model = Sane(self.data.d_token, 16, 2, 1, 4, 48, **places, dropout=0.1)
        self.system = Pretraining(
            model,
            SaneLoss(MaskedReconstruction("token"), NTXent()),
            functools.partial(torch.optim.AdamW, lr=1e-3),
            functools.partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=1e-3),
            total_steps=epochs * self.data.steps_per_epoch,
            sources=sources,
            kinds=KINDS,
        )
        self.last = LastCheckpoint(folder / "checkpoints", every)
        self.trainer = pl.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            logger=False,
            callbacks=[self.last, *extra],
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            **trainer,
        )

    def fit(self):
        path = self.last.path if self.last.path.exists() else None
        self.trainer.fit(self.system, datamodule=self.data, ckpt_path=path, weights_only=True)
        return {name: value.clone() for name, value in self.system.state_dict().items()}


@pytest.fixture
def parts(store, tmp_path):
    return functools.partial(Parts, store, tmp_path)


@pytest.fixture(scope="session")
def parts_in(store):
    return functools.partial(Parts, store)


@pytest.fixture(scope="session")
def run(parts_in, store, tmp_path_factory):
    """The folder of a short training on the tiny store, as `mzsane.train` leaves it."""
    folder = tmp_path_factory.mktemp("run")
    parts = parts_in(folder, epochs=1)
    parts.fit()
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose("train", ["zoo=digits", f"data_dir={folder}"], return_hydra_config=True)
    OmegaConf.set_struct(cfg, False)
    settings = parts.system.model.settings.items()
    known = {name: value for name, value in settings if name not in ("d_token", "window")}
    cfg.model = {"_target_": "mzsane.models.Sane", **known}
    cfg.data.window, cfg.zoo.build = 48, False
    cfg.zoo.sources.digits.store = str(store.path)
    for group in ("hydra", "callbacks", "logger", "trainer"):  # refer to a running Hydra
        cfg[group] = {}
    OmegaConf.save(cfg, folder / "config.yaml")
    return folder
