"""Mistakes that would cost minutes are told before a zoo is built."""

import pytest
from hydra import compose, initialize_config_dir

from mzsane.beforehand import check_beforehand
from mzsane.config import CONF_DIR
from mzsane.schemas import register_schemas


def configure(*overrides):
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", ["zoo=digits+printed", *overrides])


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
        check_beforehand(configure(*overrides))


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
    check_beforehand(configure(*overrides))
    told = [str(w.message) for w in recwarn if "data.pack=true" in str(w.message)]
    assert len(told) == warned


def test_a_weight_for_every_source_is_a_mixture():
    check_beforehand(configure("zoo.mix={digits:1,printed:3}"))
