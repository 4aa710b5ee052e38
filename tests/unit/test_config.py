"""Every configuration file composes and names what exists; mistakes are told in one sentence."""

import functools

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf, flag_override

from mzsane.checking import ConfigError, check
from mzsane.config import CONF_DIR, build, build_all, suggest
from mzsane.schemas import register_schemas

ENTRIES = {path.stem for path in CONF_DIR.glob("*.yaml")} - {"inputs", "run_folder", "analyse"}
OPTIONS = [
    (path.parent.relative_to(CONF_DIR).as_posix(), path.stem)
    for path in sorted(CONF_DIR.glob("*/**/*.yaml"))
    if path.parent.name != "hydra"
]


def configure(*overrides, name="train"):
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        cfg = compose(name, list(overrides), return_hydra_config=True)
    with flag_override(cfg, ["struct", "readonly"], [False, False]):
        cfg.hydra.runtime.output_dir = "runs/here"
        HydraConfig.instance().set_config(cfg)
        del cfg["hydra"]
    return cfg


@functools.cache
def sections():
    """What a run's configuration consists of."""
    return set(configure())


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_every_entry_point_composes_and_is_checked(name):
    check(configure(name=name))


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_of_every_group_composes_and_is_checked(group, option):
    if group == "zoo":  # of which there are many; this entry point has little else
        check(configure(f"zoo={option}", name="download"))
    elif group in sections():
        check(configure(f"{group}={option}"))
    elif group == "image_sets":  # of which only this entry point knows
        check(configure(f"image_sets={option}", name="evaluate"))
    else:  # a group that other files refer to, such as images, is put where nothing is checked
        check(configure(f"+{group}@zoo.sources.extra={option}"))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("digits+printed", "digits,printed"),
        ("cifar10+100", "cifar10,cifar100"),
        ("cifar10+100+tin", "cifar10,cifar100,tiny_imagenet"),
        ("mnist+svhn", "mnist,svhn"),
    ],
)
def test_a_composition_is_the_list_of_its_parts(name, parts):
    assert configure(f"zoo={name}").zoo == configure(f"zoo=[{parts}]").zoo


@pytest.mark.parametrize("zoo", ["cifar10+100", "[tiny_imagenet,digits]", "[digits,cifar10]"])
def test_large_networks_get_the_published_tokens_and_windows_in_any_composition(zoo):
    cfg = configure(f"zoo={zoo}", "model=sane_base")
    assert (cfg.tokens.size, cfg.data.window) == (288, 256)
    assert cfg.optimizer.lr == pytest.approx(1e-3 * 128 / 2048)
    assert (cfg.trainer.max_epochs, cfg.data.samples_per_epoch) == (60, 35000)


def test_the_published_run_takes_what_its_zoo_says_of_epochs_and_windows():
    cfg = configure("experiment=mz_sane")
    assert (cfg.tokens.size, cfg.data.window, cfg.data.batch_size) == (288, 256, 32)
    assert (cfg.trainer.max_epochs, cfg.data.samples_per_epoch) == (60, 35000)


def test_the_published_run_on_small_networks_has_epochs_of_its_own():
    cfg = configure("experiment=sane_cnn", "zoo=svhn")
    assert (cfg.tokens.size, cfg.data.window, cfg.trainer.max_epochs) == (289, 64, 50)


@pytest.mark.parametrize(
    ("overrides", "epochs"),
    [
        ([], 8),
        (["trainer.max_steps=100"], None),
        (["trainer.max_steps=100", "trainer.max_epochs=3"], 3),
        (["trainer.max_steps=100", "debug=fast"], None),
        (["debug=fast"], 2),
        (["trainer=debug"], 2),
        (["trainer=debug", "trainer.max_steps=100"], None),
        (["experiment=overfit"], 5),
        (["experiment=normalization"], 4),
    ],
)
def test_epochs_end_a_run_only_where_no_number_of_steps_is_given(overrides, epochs):
    assert configure(*overrides).trainer.max_epochs == epochs


def test_a_small_zoo_gets_tokens_and_windows_of_a_small_network():
    cfg = configure("zoo=digits")
    assert cfg.data.samples_per_epoch == 3200
    assert (cfg.tokens.size, cfg.data.window, cfg.optimizer.lr) == (201, 48, pytest.approx(1e-3))


def test_a_published_zoo_downloads_the_epochs_that_it_reads():
    (source,) = configure("zoo=mnist", "zoo.sources.mnist.reader.epochs=[50]").zoo.sources.values()
    assert source.download.epochs == [50]
    assert source.download.folder == source.reader.path


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+model.d_modle=3", r"model\.d_modle: Sane has no 'd_modle'; did you mean 'd_model'\?"),
        ("+foo=1", "foo: there is no such section; did you mean 'zoo'"),
        ("model.d_model=wide", "model.d_model: 'wide' is not int"),
        ("model._target_=mzsane.models.Sano", "model._target_: cannot find 'mzsane.models.Sano'"),
        ("sampler.kde_token.draw=tokens", "one of token, layer, joint"),
        ("trainer.max_epochs=1.5", "trainer.max_epochs: 1.5 is not"),
        (
            "+logger.mine.offline=true",
            "logger.mine: settings of what logger= does not",
        ),
        ("zoo.path=mine", r"zoo\.path: no source of this zoo reads it; add zoo=folder"),
    ],
)
def test_mistakes_are_named_before_anything_is_read(override, message):
    with pytest.raises(ConfigError, match=message):
        check(configure(override))


def test_own_checkpoints_take_the_architectures_there_are():
    cfg = configure("zoo=folder", "zoo.path=mine", "+architecture@zoo.architecture=mlp")
    check(cfg)
    source = build(cfg.zoo.sources.folder)
    assert source.reader.keywords["architecture"].input_shape == (1, 28, 28)


def test_ints_pass_for_floats():
    check(configure("optimizer.lr=1"))


def test_build_keeps_runtime_objects_as_they_are():
    node = OmegaConf.create({"_target_": "builtins.dict", "a": 1, "b": [1, 2]})
    thing = object()
    made = build(node, c=thing)
    assert made == {"a": 1, "b": [1, 2], "c": thing}
    assert made["c"] is thing
    assert type(made["b"]) is list


def test_build_all_leaves_out_what_is_null():
    group = OmegaConf.create({"one": {"_target_": "builtins.dict", "a": 1}, "two": None})
    assert build_all(group) == {"one": {"a": 1}}


def test_suggest_offers_the_close_name_or_all():
    assert suggest("d_modle", ["d_model", "heads"]) == "; did you mean 'd_model'?"
    assert suggest("zzz", ["b", "a"]) == "; there is: a, b"
