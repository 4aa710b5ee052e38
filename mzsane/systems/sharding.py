"""Weights, gradients and optimizer divided among devices, for models that one does not hold."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method

from mzsane.models.transformer import Block

METHODS = ("encode", "decode", "project")
"""Ways into a model, before which its weights are gathered."""
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


class FullySharded(ModelParallelStrategy):
    """Fully sharded data parallelism (arXiv:2304.11277), by torch's `fully_shard`.

    Each process sees its share of the batch, as under DDP, and keeps its share of every tensor;
    those of a transformer block are gathered while it computes. Steps are those of DDP to
    rounding. It runs on GPUs and, for tests, on CPU processes. A checkpoint is one file, the same
    that one process would have written, and any strategy goes on from it.

    Raises:
        ValueError: from `setup`, if weights are to be averaged: the average would not be divided.
    """

    def __init__(self) -> None:
        super().__init__(save_distributed_checkpoint=False)

    def setup(self, trainer: pl.Trainer) -> None:
        """Divide the model, then make the optimizer of what this process keeps."""
        if any(isinstance(callback, WeightAveraging) for callback in trainer.callbacks):
            raise ValueError(
                "callbacks: averaging keeps a whole copy of the weights, which trainer=fsdp "
                "divides; leave ema out, or take trainer=ddp"
            )
        self.accelerator.setup(trainer)
        system = self.lightning_module
        self._whole = copy.deepcopy(system.model) if self.is_global_zero else None
        shard(system.model, init_device_mesh(self.root_device.type, (self.world_size,)))
        self.model = self.precision_plugin.convert_module(self.model)
        self.model_to_device()
        if trainer.training:
            self.setup_optimizers(trainer)
        self.setup_precision_plugin()

    def whole_model(self) -> nn.Module | None:
        """A copy of the model on the first process, None on the others; all must ask for it."""
        state = self.lightning_module_state_dict()
        if self._whole is not None:
            own = {name.removeprefix("model."): x for name, x in state.items()}
            self._whole.load_state_dict(own)
        return self._whole

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """All weights on the first process, nothing on the others."""
        self._divide_again()
        return get_model_state_dict(self.model, options=WHOLE)

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """As an optimizer that is not divided has it, on the first process."""
        self._divide_again()
        state = get_optimizer_state_dict(self.model, optimizer, options=WHOLE)
        numbers = {name: n for n, name in enumerate(self._trained(optimizer))}
        return _renamed(state, numbers) if state else {}

    def load_checkpoint(
        self, checkpoint_path: str | Path, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Each process takes its share of a file; nothing in it is executed."""
        path = self.broadcast(checkpoint_path)
        checkpoint = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        everything = StateDictOptions(full_state_dict=True)
        set_model_state_dict(self.model, checkpoint["state_dict"], options=everything)
        states = checkpoint["optimizer_states"]
        for optimizer, state in zip(self.optimizers, states, strict=True):
            named = _renamed(state, dict(enumerate(self._trained(optimizer))))
            set_optimizer_state_dict(self.model, optimizer, named, options=everything)
        return checkpoint

    def _trained(self, optimizer: torch.optim.Optimizer) -> list[str]:
        """Names of an optimizer's weights, in its order."""
        names = {weight: name for name, weight in self.model.named_parameters()}
        return [names[weight] for group in optimizer.param_groups for weight in group["params"]]

    def _divide_again(self) -> None:
        """Validation leaves some weights gathered."""
        for module in self.model.modules():
            if isinstance(module, FSDPModule):
                module.reshard()


def shard(model: nn.Module, mesh: DeviceMesh) -> None:
    """Divide the weights of a model in place; each transformer block is gathered by itself.

    Args:
        model: with the `METHODS` of `mzsane.models.Sane`.
        mesh: of one dimension.
    """
    for module in list(model.modules()):
        if isinstance(module, Block):
            fully_shard(module, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for name in METHODS:
        register_fsdp_forward_method(model, name)


def _renamed(state: Mapping[str, Any], names: Mapping[Any, Any]) -> dict[str, Any]:
    """The state of an optimizer with other names for its weights."""
    groups = [
        {**group, "params": [names[one] for one in group["params"]]}
        for group in state["param_groups"]
    ]
    kept: dict[Any, dict[str, Tensor]] = {names[one]: x for one, x in state["state"].items()}
    return {"state": kept, "param_groups": groups}
