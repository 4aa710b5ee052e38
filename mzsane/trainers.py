"""Lightning's trainer, with what it cannot do on this machine told in one sentence."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from mzsane.config import build

if TYPE_CHECKING:
    import pytorch_lightning as pl

_SPOKEN = {"cpu": "CPU", "cuda": "GPU"}
_AT_LEAST_ONE = ("accumulate_grad_batches", "log_every_n_steps")
_REFUSALS = (ValueError, TypeError, ImportError, RuntimeError)  # of Lightning's constructor


def trainer_of(node: DictConfig, **runtime: Any) -> "pl.Trainer":
    """The trainer that `trainer` describes.

    Args:
        node: the section `trainer`.
        runtime: callbacks, loggers and the run's folder.

    Raises:
        ValueError: this machine lacks the device, the device the precision, or Lightning refuses a
            setting. Lightning itself would put another precision for one that a CPU lacks.
    """
    _check(node)
    with warnings.catch_warnings(), in_a_sentence(*_REFUSALS):
        warnings.filterwarnings("ignore", ".*AMP with fp16 is not supported on CPU")
        trainer = build(node, **runtime)
    _check_precision(str(node.get("precision", "32-true")), trainer)
    return trainer


@contextmanager
def in_a_sentence(*refusals: type[Exception]) -> Iterator[None]:
    """Tell what Lightning refuses as other mistakes of a user are told.

    Args:
        refusals: exceptions that are refusals here, beside the one that Lightning has for them.

    Raises:
        ValueError: in their place.
    """
    from pytorch_lightning.utilities.exceptions import MisconfigurationException

    try:
        yield
    except (MisconfigurationException, *refusals) as error:
        raise ValueError(f"trainer: {' '.join(str(error).split())}") from error


def warn_of_no_validation(trainer: "pl.Trainer", batches: int) -> None:
    """Tell a run that ends before its first validation; `batches` are those of an epoch."""
    every = trainer.check_val_every_n_epoch
    if every is None or trainer.val_check_interval != 1.0:  # counted in batches, within epochs
        return
    limit = trainer.limit_train_batches  # a number, or as a float a share
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    steps = -(-batches // trainer.accumulate_grad_batches) * every
    few_epochs = 0 <= (trainer.max_epochs or -1) < every
    if few_epochs or 0 <= trainer.max_steps < steps:
        warnings.warn(
            f"trainer: validation comes after {steps} steps (check_val_every_n_epoch={every}), and "
            "the run ends earlier, so that nothing is validated and no best.ckpt is written",
            stacklevel=1,
        )


def _check(node: DictConfig) -> None:
    """What Lightning takes and fails with later, or refuses in words that name no way out."""
    import torch

    for name in _AT_LEAST_ONE:
        if node.get(name) is not None and node[name] < 1:
            raise ValueError(f"trainer.{name}={node[name]}: at least 1")
    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    if node.get("accelerator") in ("gpu", "cuda") and not has_gpu:
        raise ValueError(
            f"trainer.accelerator={node.accelerator}: torch {torch.__version__} finds no GPU here; "
            "train with trainer=cpu, or look at what nvidia-smi says and whether torch is a build "
            "for GPUs"
        )


def _check_precision(asked: str, trainer: "pl.Trainer") -> None:
    """Refuse half precision that a CPU cannot scale; say where bfloat16 is slow."""
    device = trainer.strategy.root_device.type
    if device == "cpu" and asked in ("16", "16-mixed"):
        raise ValueError(
            f"trainer.precision={asked}: a CPU has no mixed float16; set trainer.precision="
            "bf16-mixed or 32-true"
        )
    if asked.startswith("bf16") and not _has_bf16(device):
        other = "32-true" if device == "cpu" else "16-mixed"
        warnings.warn(
            f"trainer.precision={asked}: this {_SPOKEN[device]} has no instructions "
            f"for bfloat16, so that it is slower than trainer.precision={other}",
            stacklevel=1,
        )


def _has_bf16(device: str) -> bool:
    """Whether a kind of device multiplies bfloat16; true where torch cannot tell."""
    import torch

    if device == "cuda":  # GPUs before Ampere only imitate it
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return True
    told = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.6 has it not
    return all(told.get(name, True) for name in ("avx512_bf16", "bf16"))  # of x86, of ARM
