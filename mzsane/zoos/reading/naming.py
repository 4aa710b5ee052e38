"""Model and epoch of a weight file, from its path alone.

The rule keeps all checkpoints of a model under one name, wherever in the path their number stands:

1. ``epoch`` or ``ep`` with a number is the epoch, the innermost one of the path; else the number
   of ``checkpoint``, ``ckpt``, ``step``, ``global_step`` or ``iter`` stands in for it.
2. Those numbers are taken out, and so is what Lightning writes behind them
   (``epoch=3-step=80-val_loss=0.2-v1``).
3. A part of the path that only says that it holds weights (``model``, ``checkpoints``, ``last``,
   ``pytorch_model``, ...) is left out.
4. The rest, joined by ``/``, is the model. A bare number belongs to it (``model_10`` is a model),
   and so do plurals, which tell how long training was (``epochs_100``).
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
INDEX = ".index.json"  # lists the shards of one model
PART = re.compile(r"-\d+-of-\d+(?=\.\w+$)")  # how the hub's libraries call the parts of a model
_EPOCH = re.compile(r"(?<![a-z])(?:epoch|ep)[-_=]?(\d+)", re.I)
_STEP = re.compile(
    r"(?<![a-z])(?:checkpoint|ckpt|global_?step|step|iter(?:ation)?)[-_=]?(\d+)", re.I
)
_LIGHTNING = re.compile(r"(epoch=\d+)(?:[-_][a-z_/]+\d*=-?[\d.]+(?:e-?\d+)?)*(?:-v\d+)?", re.I)
_SEPARATORS = re.compile(r"[-_=. ]+")
_GENERIC = {
    *("model", "models", "network", "net", "weights", "weight", "state", "dict"),
    *("checkpoint", "checkpoints", "ckpt", "ckpts", "last", "latest", "best", "final"),
    *("pytorch", "diffusion"),  # of the hub: pytorch_model.bin, diffusion_pytorch_model.bin
}
# What trainers save beside the weights; readers of trial folders ignore the same
_ASIDE = re.compile(
    r"(optimizer|optim|scheduler|lr_scheduler|scaler|sampler|rng_state|random_states|training_args"
    r"|dataset|trainset|valset|testset)([-_.\d]|$)",
    re.I,
)


class Named(NamedTuple):
    """What a path tells.

    Attributes:
        model: empty if the path says nothing about it.
        epoch: None if the path has no number for it.
        step: of several checkpoints in one epoch.
    """

    model: str
    epoch: int | None
    step: int


def named(path: str) -> Named:
    """Model and epoch by the module's rule.

    Args:
        path: of a weight file, or of the index of its shards, relative to the zoo, with ``/``.
    """
    parts = PurePosixPath(_bare(path)).parts
    epochs = [number for part in parts for number in _EPOCH.findall(part)]
    steps = [number for part in parts for number in _STEP.findall(part)]
    model = "/".join(rest for part in parts if (rest := _rest(part)))
    number = (epochs or steps or [None])[-1]
    return Named(model, None if number is None else int(number), int((steps or [0])[-1]))


def is_weights(name: str) -> bool:
    """Whether a file's name is one of weights, or of the index of their shards."""
    return name.endswith(tuple(f"{suffix}{INDEX}" for suffix in SUFFIXES)) or (
        name.endswith(SUFFIXES) and not _ASIDE.match(name)
    )


def doubled(paths: Iterable[str]) -> list[str]:
    """Pickles, shards of them and their indices, whose model and epoch safetensors hold, too."""
    known = {path: named(PART.sub("", path)) for path in paths if is_weights(path.split("/")[-1])}
    safe = {each for path, each in known.items() if ".safetensors" in path}
    return [path for path, each in known.items() if ".safetensors" not in path and each in safe]


def _bare(path: str) -> str:
    """Without the suffix that made it a weight file."""
    path = path.removesuffix(INDEX)
    return path.removesuffix(next((s for s in SUFFIXES if path.endswith(s)), ""))


def _rest(part: str) -> str:
    """What a part of the path says about the model."""
    rest = _STEP.sub("\0", _EPOCH.sub("\0", _LIGHTNING.sub(r"\1", part)))
    if "\0" in rest:
        pieces = (piece.strip("-_=. ") for piece in rest.split("\0"))
        rest = "_".join(filter(None, pieces))
    words = {word.lower() for word in _SEPARATORS.split(rest)}
    return "" if words <= {"", *_GENERIC} else rest
