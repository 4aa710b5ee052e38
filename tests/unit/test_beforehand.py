"""Mistakes that would cost minutes are told before a zoo is built."""

import pytest
from hydra import compose, initialize_config_dir

from mzsane.beforehand import check_beforehand
from mzsane.config import CONF_DIR
from mzsane.devices import trainer_settings
from mzsane.schemas import register_schemas


def look(*overrides):
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose("train", ["zoo=digits+printed", *overrides])
    check_beforehand(cfg, trainer_settings(cfg))


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["zoo.mix=unifrm"], "mix 'unifrm': choose from"),
        (["zoo.mix={digit:1,printed:1}"], "no source is called 'digit'; did you mean 'digits'"),
        (["data.mix={digits:1}"], "no weight for printed"),
        (["data.temperature=0"], "data.temperature=0"),
        (["data.batch_size=1", "trainer=ddp_cpu"], "data.batch_size=1: a multiple .* 2 "),
        (["data.batch_size=9", "trainer=ddp_cpu", "trainer.num_nodes=2"], "processes, 4 "),
        (["data.samples_per_epoch=31"], "data.samples_per_epoch=31: .* data.batch_size=32"),
        (["data.batch_size=0"], "data.batch_size=0"),
        (["trainer.precision=16-mixed"], "a CPU has no mixed float16"),
    ],
)
def test_a_mistake_is_told_from_the_configuration_alone(overrides, sentence):
    with pytest.raises(ValueError, match=sentence):
        look(*overrides)


@pytest.mark.parametrize(
    ("overrides", "warned"),
    [
        (["data.pack=true"], True),
        (["data.pack=true", "model.pooling=mean"], False),
        ([], False),
    ],
)
def test_places_of_packed_windows_mean_nothing_to_a_head_that_concatenates(
    recwarn, overrides, warned
):
    look(*overrides)
    told = [str(w.message) for w in recwarn if "data.pack=true" in str(w.message)]
    assert len(told) == warned


def test_a_weight_for_every_source_is_a_mixture():
    look("zoo.mix={digits:1,printed:3}")


@pytest.mark.parametrize(
    ("overrides", "warned"),
    [
        (["trainer.check_val_every_n_epoch=9"], True),
        (["trainer.check_val_every_n_epoch=8"], False),
        (["trainer.max_steps=99"], True),
        (["trainer.max_steps=100"], False),
        (["trainer.max_steps=49", "trainer.accumulate_grad_batches=2"], True),
        (["trainer.max_steps=50", "trainer.accumulate_grad_batches=2"], False),
        (["trainer.max_steps=99", "+trainer.val_check_interval=50"], False),
        (["trainer.max_steps=9", "+trainer.limit_train_batches=9"], False),
        (["trainer.max_steps=9", "+trainer.limit_train_batches=0.1"], True),
        (["trainer.max_steps=1000", "trainer.check_val_every_n_epoch=9"], False),
    ],
)
def test_a_run_that_ends_before_its_first_validation_is_told(recwarn, overrides, warned):
    look(*overrides)
    told = [str(w.message) for w in recwarn if "no best.ckpt is written" in str(w.message)]
    assert len(told) == warned


@pytest.mark.parametrize(("rows", "warned"), [(47, True), (48, False)])
def test_tables_that_a_window_may_outgrow_are_told(recwarn, rows, warned):
    look("model.positions=learned", f"model.max_positions=[{rows},9,30]")
    told = [str(w.message) for w in recwarn if "fewer than data.window=48" in str(w.message)]
    assert len(told) == warned
