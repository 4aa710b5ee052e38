"""The weights that a run begins with: its own last checkpoint, or those of an earlier model."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from mzsane.opening import PREFIX, load_checkpoint, open_model

if TYPE_CHECKING:
    from torch import nn

    from mzsane.models import Sane

_FREE = ("dropout", "init")  # settings that decide nothing of what weights mean
_FREE_IF_WEIGHTS_FIT = ("window", "max_positions")  # some heads and positions read neither


def checkpoint_of(folder: Path, model: "nn.Module") -> Path | None:
    """The checkpoint that a run goes on from; None if it has none yet.

    Args:
        folder: of the run.
        model: of the run.

    Raises:
        ValueError: it is damaged, or of a model of another size.
    """
    from mzsane.models.weights import differing

    path = folder / "checkpoints" / "last.ckpt"
    if not path.exists():
        return None
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"{path}: damaged or cut short; remove it, and the run starts from its beginning"
        )
    state = load_checkpoint(path)["state_dict"]  # mapped: nothing but names and shapes is read
    held = {name.removeprefix(PREFIX): t for name, t in state.items() if name.startswith(PREFIX)}
    if difference := differing(held, model.state_dict()):
        raise ValueError(
            f"{path}: of another model than this run's: {difference}; give another hydra.run.dir, "
            "or remove the file to start from the beginning"
        )
    return path


def start_from(model: "Sane", where: str | None) -> None:
    """Give a model the weights of an earlier one of the same size; None leaves those it has.

    Args:
        model: of the run; changed in place.
        where: see `mzsane.opening.open_model`.

    Raises:
        FileNotFoundError: there is no model.
        ValueError: it is of another size or kind; the first setting or tensor that differs is
            named, with both values.
    """
    from mzsane.models.weights import differing

    if where is None:
        return
    earlier = open_model(where, model.settings["heads"]).model
    difference = differing(earlier.state_dict(), model.state_dict())
    free = _FREE if difference else (*_FREE, *_FREE_IF_WEIGHTS_FIT)
    for name, wanted in model.settings.items():
        if name not in free and (found := earlier.settings.get(name)) != wanted:
            raise ValueError(
                f"pretrained={where}: its {name} is {found}, this run's {wanted}; {_way_out(name)}"
            )
    if difference:
        raise ValueError(f"pretrained={where}: {difference}")
    model.load_state_dict(earlier.state_dict())


def _way_out(setting: str) -> str:
    """Where a run says what its model gets."""
    key = {"d_token": "tokens.size", "window": "data.window"}.get(setting, f"model.{setting}")
    return f"set {key}, or start from another model"
