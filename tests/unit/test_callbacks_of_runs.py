"""Callbacks can be chosen freely, whatever else a run is told."""

import pytest
from hydra import compose, initialize_config_dir
from pytorch_lightning.callbacks import TQDMProgressBar

from mzsane.callbacks import Finite
from mzsane.config import CONF_DIR
from mzsane.schemas import register_schemas
from mzsane.train import callbacks_of
from mzsane.trainers import trainer_of


def configure(*overrides):
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", list(overrides))


@pytest.mark.parametrize(
    ("shown", "kinds"), [("true", [Finite, TQDMProgressBar]), ("false", [Finite])]
)
def test_a_bar_is_shown_unless_the_trainer_shows_none(shown, kinds):
    cfg = configure("callbacks=[finite,progress]", f"trainer.enable_progress_bar={shown}")
    callbacks = callbacks_of(cfg, {}, None)
    assert [type(one) for one in callbacks] == kinds
    trainer_of(cfg.trainer, callbacks=callbacks, logger=False, enable_checkpointing=False)


def test_the_fast_run_takes_any_callbacks():
    cfg = configure("debug=fast", "callbacks=[progress]")
    assert {"last", "progress"} == set(cfg.callbacks)
    assert all("_target_" in one for one in cfg.callbacks.values())
