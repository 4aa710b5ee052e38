"""Opens a pretrained autoencoder, wherever it lies."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mzsane.runs import CONFIG
from mzsane.schemas import register_schemas

if TYPE_CHECKING:
    from torch import Tensor

    from mzsane.models import Sane

TARGET = "mzsane.models.Sane"
PREFIX = "model."  # of the autoencoder in the training system
SETTINGS = "config.json"  # of `save_pretrained`
CHECKPOINTS = ("best.ckpt", "last.ckpt")  # of a run, the first that is there


@dataclass(frozen=True, eq=False)
class Opened:
    """A pretrained autoencoder and what is known of it.

    Attributes:
        model: on the CPU, for evaluation.
        cfg: configuration of the run that trained it; None where that is not known.
        name: where it was found, for messages and tables.
        hash: SHA-256 over names and values of its tensors, the same wherever it lies.
    """

    model: "Sane"
    cfg: DictConfig | None
    name: str
    hash: str


def open_model(where: str | Path | None, heads: int | None = None) -> Opened:
    """The autoencoder that a user names.

    Args:
        where: a run folder, of which the best checkpoint is taken, or else the last; a checkpoint
            of a run; a folder of `save_pretrained`; ``owner/name`` on the Hugging Face hub; a file
            of weights under the published names.
        heads: attention heads of such a file, which leave no trace in its shapes.

    Raises:
        FileNotFoundError: there is nothing.
        ValueError: nothing is named, or what is there is damaged, contains code or no such model.
    """

    from mzsane.models import Sane

    if where is None:
        raise ValueError(
            "which autoencoder? set checkpoint= to a run folder, a checkpoint of a run, a folder "
            "of save_pretrained or owner/name on the Hugging Face hub"
        )
    path = _checkpoint(Path(where))
    _refuse_nothing(path)
    if path.suffix == ".ckpt":
        checkpoint, cfg = load_checkpoint(path), recorded(path)
        model = model_of(cfg, checkpoint["state_dict"], path)
    else:
        model, cfg = Sane.from_pretrained(where, heads), None
    return Opened(model, cfg, str(path if path.exists() else where), hash_of(model))


def load_checkpoint(path: Path) -> Mapping[str, Any]:
    """What Lightning saved, without executing anything from it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, contains code, or is no checkpoint of a run.
    """
    import torch

    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file; give a checkpoint of a run")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises nearly anything for a damaged file
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path}: cannot be loaded: {type(error).__name__}: {reason}") from error
    if not isinstance(checkpoint, Mapping) or not {"state_dict", "global_step"} <= set(checkpoint):
        raise ValueError(f"{path}: no checkpoint of a run; give a file of its checkpoints/")
    return checkpoint


def recorded(checkpoint: Path) -> DictConfig:
    """The configuration of the run that a checkpoint lies in.

    Raises:
        FileNotFoundError: it does not lie in a run's folder.
    """
    file = checkpoint.absolute().parents[1] / CONFIG
    if not file.is_file():
        raise FileNotFoundError(
            f"{file}: there is no such file; a checkpoint is opened in its place in "
            "the folder of its run, which says of what size the model is"
        )
    register_schemas()
    return OmegaConf.load(file)


def model_of(cfg: DictConfig, state: Mapping[str, Any], path: Path) -> "Sane":
    """The autoencoder in a run's checkpoint.

    Args:
        cfg: configuration of the run.
        state: state dict of the training system.
        path: of the checkpoint, for messages.

    Raises:
        ValueError: the run trained something else, or the tensors do not fit its settings.
    """

    from mzsane.models import Sane

    try:
        settings = OmegaConf.to_container(cfg.model, resolve=True)
        window = cfg.data.window
    except OmegaConfBaseException as error:
        raise not_a_record(path, error) from error
    if settings.pop("_target_", None) != TARGET:
        raise ValueError(f"{path}: model._target_ of its run is not {TARGET}; save it yourself")
    ours = {
        name.removeprefix(PREFIX): tensor.clone()  # the file is mapped, and may be replaced
        for name, tensor in state.items()
        if name.startswith(PREFIX)
    }
    known = {"d_token": len(ours.get("unembed.weight", ())), "window": window}
    return Sane.of_state(settings | known, ours, str(path))


def not_a_record(checkpoint: Path, error: Exception) -> ValueError:
    """What to raise where a run's configuration lacks what every run has."""
    reason = str(error).partition("\n")[0]
    folder = checkpoint.absolute().parents[1]
    return ValueError(f"{folder / CONFIG}: not the record of a run ({reason})")


def hash_of(model: "Sane") -> str:
    """SHA-256 over names and values of all tensors, which no file format changes."""
    return digest_of(model.state_dict())


def digest_of(state: "Mapping[str, Tensor]") -> str:
    """As `hash_of`, of a state dict."""
    import torch

    digest = sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _refuse_nothing(path: Path) -> None:
    """Tell a path where no autoencoder lies; a name of the hub has two parts and is no folder."""
    if path.is_dir() and not (path / SETTINGS).is_file():
        raise FileNotFoundError(
            f"{path}: neither the folder of a run ({CONFIG}) nor of save_pretrained ({SETTINGS}); "
            "name the run itself, as runs/train/TIME"
        )
    if not path.exists() and path.suffix != ".ckpt" and len(path.parts) != 2:
        raise FileNotFoundError(
            f"{path}: there is nothing; give a run folder, a checkpoint of a run, a folder of "
            "save_pretrained, or owner/name on the Hugging Face hub"
        )


def _checkpoint(path: Path) -> Path:
    """The checkpoint of a run folder; any other path as it is."""
    if not (path / CONFIG).is_file():
        return path
    found = [path / "checkpoints" / name for name in CHECKPOINTS]
    for file in found:
        if file.is_file():
            return file
    raise FileNotFoundError(
        f"{path}: this run has no checkpoint yet ({' or '.join(CHECKPOINTS)} in checkpoints/); "
        "let it train, or give another"
    )
