"""What a run trains on where its configuration leaves that to the machine (`trainer=auto`)."""

import os
import warnings
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf

from mzsane.config import build
from mzsane.failures import in_sweep
from mzsane.runs import leads

LARGE = 100_000_000
"""Weights from which several GPUs are worth their exchange, and a CPU is none."""


class Devices(NamedTuple):
    """In the words of Lightning's trainer; `devices` are those of one node."""

    accelerator: str
    devices: int
    precision: str


def choose(
    gpus: int, weights: int, batch_size: int, started: int | None = None, alone: bool = False
) -> Devices:
    """Float32 on the CPU without a GPU; else bfloat16 on one, or for a large model on several.

    A small model would wait for the exchange of gradients longer than it computes. Of several GPUs
    as many are taken as divide the batch, which is that of all devices together.

    Args:
        gpus: of this machine.
        weights: of the model.
        batch_size: windows of a step.
        started: processes that a launcher has started on each node, one a GPU; None without one.
        alone: whether the run may not start processes of its own.
    """
    if not gpus:
        return Devices("cpu", 1, "32-true")
    if started is None and not alone and weights >= LARGE:
        started = max(count for count in range(1, gpus + 1) if batch_size % count == 0)
    return Devices("gpu", started or 1, "bf16-mixed")


def trainer_settings(cfg: DictConfig) -> DictConfig:
    """The section `trainer` of a run, with what it leaves open as `choose` says for this machine.

    `accelerator` and `devices` are left open by `auto`, `precision` by null. A warning tells of
    GPUs among which the batch cannot be divided, and of a large model on a CPU.

    Raises:
        ValueError: the model cannot be built with its settings.
    """
    node = OmegaConf.create(OmegaConf.to_container(cfg.trainer, resolve=True))
    gpus = _gpus() if node.get("accelerator", "auto") in ("auto", "gpu", "cuda") else 0
    weights = weights_of(cfg)
    started, alone = _started(), in_sweep()  # whose jobs share one process
    chosen = choose(gpus, weights, cfg.data.get("batch_size", 0), started, alone)
    for key, left_open in Devices("auto", "auto", None)._asdict().items():
        if key in node and node[key] == left_open:
            node[key] = getattr(chosen, key)
    if leads():
        if weights >= LARGE and node.get("accelerator") == "cpu":
            _warn_of_a_cpu(weights)
        if started is None and 1 < chosen.devices < gpus and node.devices == chosen.devices:
            _warn_of_idle(gpus, chosen.devices)
    return node


def weights_of(cfg: DictConfig) -> int:
    """Weights of a run's model, which is built without memory for any."""
    import torch

    with torch.device("meta"):
        model = build(cfg.model, d_token=cfg.tokens.size or 1, window=cfg.data.window)
    return sum(parameter.numel() for parameter in model.parameters())


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _started() -> int | None:
    """Processes of each node that torchrun or srun has started; None where neither has."""
    if "LOCAL_WORLD_SIZE" in os.environ:
        return int(os.environ["LOCAL_WORLD_SIZE"])
    if {"SLURM_PROCID", "SLURM_NTASKS"} <= os.environ.keys():
        return int(os.environ["SLURM_NTASKS"]) // int(os.environ.get("SLURM_NNODES", "1"))
    return None


def _warn_of_a_cpu(weights: int) -> None:
    warnings.warn(
        f"model: {weights / 1e6:,.0f} million weights on a CPU take minutes for a step; train on a "
        "machine with GPUs (trainer=auto takes them), or a smaller one (model=sane_tiny)",
        stacklevel=1,
    )


def _warn_of_idle(gpus: int, taken: int) -> None:
    warnings.warn(
        f"trainer.devices: {taken} of {gpus} GPUs, because data.batch_size can be divided among no "
        f"more; a multiple of {gpus} uses all",
        stacklevel=1,
    )
