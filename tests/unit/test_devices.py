"""What `trainer=auto` takes of a machine; the machines are made up."""

import pytest
import torch
from hydra import compose, initialize_config_dir

from mzsane.config import CONF_DIR
from mzsane.devices import LARGE, choose, trainer_settings, weights_of
from mzsane.schemas import register_schemas

HEADLINE = ("zoo=cifar10+100", "model=sane_base")
ENVIRONMENT = ("LOCAL_WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_NNODES")


@pytest.fixture
def machine(monkeypatch):
    """Pretends to have some GPUs, and what a launcher leaves in the environment."""

    def pretend(gpus, **environment):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        for name in ENVIRONMENT:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, str(value))

    return pretend


def composed(*overrides):
    register_schemas()
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return compose("train", list(overrides))


def settings(*overrides):
    node = trainer_settings(composed(*overrides))
    return node.accelerator, node.devices, node.precision


@pytest.mark.parametrize(
    ("gpus", "weights", "batch_size", "extra", "chosen"),
    [
        (0, 10 * LARGE, 32, {}, ("cpu", 1, "32-true")),
        (0, 10, 32, {"started": 4}, ("cpu", 1, "32-true")),
        (1, 10, 32, {}, ("gpu", 1, "bf16-mixed")),
        (8, LARGE - 1, 32, {}, ("gpu", 1, "bf16-mixed")),
        (8, LARGE, 32, {}, ("gpu", 8, "bf16-mixed")),
        (6, LARGE, 32, {}, ("gpu", 4, "bf16-mixed")),
        (8, LARGE, 7, {}, ("gpu", 7, "bf16-mixed")),
        (8, LARGE, 32, {"alone": True}, ("gpu", 1, "bf16-mixed")),
        (8, 10, 32, {"started": 4}, ("gpu", 4, "bf16-mixed")),
        (8, LARGE, 32, {"started": 1}, ("gpu", 1, "bf16-mixed")),
    ],
)
def test_a_machine_is_used_as_far_as_the_model_gains(gpus, weights, batch_size, extra, chosen):
    assert choose(gpus, weights, batch_size, **extra) == chosen


@pytest.mark.parametrize(
    ("gpus", "chosen"),
    [
        (0, ("cpu", 1, "32-true")),
        (1, ("gpu", 1, "bf16-mixed")),
        (6, ("gpu", 4, "bf16-mixed")),
        (8, ("gpu", 8, "bf16-mixed")),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_headline_command_takes_what_there_is(machine, gpus, chosen):
    machine(gpus)
    assert settings(*HEADLINE) == settings("experiment=mz_sane") == chosen


@pytest.mark.parametrize(
    ("gpus", "chosen"), [(0, ("cpu", 1, "32-true")), (8, ("gpu", 1, "bf16-mixed"))]
)
def test_a_small_model_takes_one_device(machine, recwarn, gpus, chosen):
    machine(gpus)
    assert settings() == settings("debug=fast") == chosen
    assert not recwarn.list


@pytest.mark.parametrize(
    ("overrides", "chosen"),
    [
        (["trainer=cpu"], ("cpu", 1, "32-true")),
        (["trainer.accelerator=cpu"], ("cpu", 1, "32-true")),
        (["trainer.devices=2"], ("gpu", 2, "bf16-mixed")),
        (["trainer.precision=32-true"], ("gpu", 8, "32-true")),
        (["trainer=ddp", "trainer.devices=4"], ("gpu", 4, "bf16-mixed")),
        (["trainer=ddp_cpu"], ("cpu", 2, "32-true")),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_a_user_says_stays(machine, overrides, chosen):
    machine(8)
    assert settings(*HEADLINE, *overrides) == chosen


@pytest.mark.parametrize(
    ("environment", "devices"),
    [
        ({"LOCAL_WORLD_SIZE": 4}, 4),
        ({"SLURM_PROCID": 0, "SLURM_NTASKS": 16, "SLURM_NNODES": 2}, 8),
        ({"SLURM_PROCID": 0, "SLURM_NTASKS": 1}, 1),
        ({"SLURM_NTASKS": 1}, 8),
    ],
)
def test_processes_that_a_launcher_started_are_all_there_are(
    machine, recwarn, environment, devices
):
    machine(8, **environment)
    assert settings(*HEADLINE)[1] == devices
    assert not recwarn.list


def test_the_published_size_is_known_without_memory_for_it():
    assert weights_of(composed("experiment=mz_sane")) == 870_272_412


@pytest.mark.parametrize(
    ("gpus", "overrides", "told"),
    [
        (0, HEADLINE, ["million weights on a CPU take minutes for a step"]),
        (8, (*HEADLINE, "trainer=cpu"), ["million weights on a CPU take minutes for a step"]),
        (6, HEADLINE, ["4 of 6 GPUs, because data.batch_size"]),
        (8, HEADLINE, []),
        (6, (*HEADLINE, "trainer.devices=2"), []),
        (0, (), []),
    ],
)
def test_what_is_slow_or_lies_idle_is_told_in_one_sentence(machine, recwarn, gpus, overrides, told):
    machine(gpus)
    trainer_settings(composed(*overrides))
    assert len(recwarn) == len(told)
    assert all(part in str(w.message) for w, part in zip(recwarn, told, strict=True))
