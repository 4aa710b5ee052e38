"""Training ends before its time when validation no longer improves."""

import pytest
from hydra import compose, initialize_config_dir

from mzsane.config import CONF_DIR, build
from mzsane.schemas import register_schemas


@pytest.fixture
def stopping():
    """The callback that `callbacks=[default,early_stopping]` adds, with some settings."""

    def made(**settings):
        register_schemas()
        told = [f"callbacks.early_stopping.{name}={value}" for name, value in settings.items()]
        with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
            cfg = compose("train", ["callbacks=[default,early_stopping]", *told])
        return build(cfg.callbacks.early_stopping)

    return made


@pytest.mark.parametrize(("least", "epochs"), [(1e9, 3), (-1e9, 5)])
def test_two_validations_that_improve_by_too_little_end_training(parts, stopping, least, epochs):
    run = parts(epochs=5, extra=[stopping(patience=2, min_delta=least)])
    run.fit()
    assert run.trainer.current_epoch == epochs
    assert run.trainer.global_step == epochs * 5
    assert run.last.path.exists()
