"""Models in folders, on the Hugging Face hub, and in the files published with the papers."""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import mzsane
from mzsane.models.card import Card, page
from mzsane.models.published import is_published, translate
from mzsane.models.weights import differing, read_weights

WEIGHTS, CONFIG, PAGE = "model.safetensors", "config.json", "README.md"
_Model = TypeVar("_Model", bound="Pretrained")
_REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*(@[\w./-]+)?")


class Pretrained(nn.Module):
    """A model that can be kept and shared.

    A folder holds weights (`model.safetensors`), the arguments of the constructor (`config.json`)
    and a page for people (`README.md`); nothing in it is executed.

    Args:
        settings: the arguments that the constructor was given, plain values.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.settings = {
            name: list(value) if isinstance(value, list | tuple) else value
            for name, value in settings.items()
        }

    def save_pretrained(self, folder: str | Path, card: Card | None = None) -> None:
        """Write weights, settings and page into a folder, which is made where it is missing.

        Each file is replaced whole; the settings come last, without which nothing is loaded.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).unlink(missing_ok=True)
        parameters = sum(p.numel() for p in self.parameters() if p.requires_grad)
        _write(folder / PAGE, page(card or Card(), self.settings, parameters, mzsane.__version__))
        state = {name: tensor.contiguous() for name, tensor in self.state_dict().items()}
        partial = folder / f".{WEIGHTS}.partial"
        save_file(state, partial, metadata={"format": "pt"})
        shutil.copymode(folder / PAGE, partial)  # safetensors lets nobody else read it
        partial.replace(folder / WEIGHTS)
        config = {"library": "mzsane", "version": mzsane.__version__, "model": self.settings}
        _write(folder / CONFIG, json.dumps(config, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls: type[_Model], where: str | Path, heads: int | None = None) -> _Model:
        """The model that a folder, the hub or a published file holds, on the CPU, for evaluation.

        Args:
            where: a folder of `save_pretrained`; ``owner/name`` or ``owner/name@revision`` on the
                Hugging Face hub; a file of weights under the published names.
            heads: attention heads of a published file, which leave no trace in its shapes.

        Raises:
            FileNotFoundError: nothing is there, or the hub cannot be reached.
            ValueError: it holds no such model; the first tensor or setting that differs is named.
        """
        path = Path(where)
        if path.is_file():
            return cls._from_published(path, heads)
        if not path.is_dir() and _REPOSITORY.fullmatch(str(where)):
            path = _fetch(str(where))
        for name in (CONFIG, WEIGHTS):
            if not (path / name).is_file():
                raise FileNotFoundError(
                    f"{path / name}: there is no such file; give a folder of save_pretrained, or "
                    "owner/name on the Hugging Face hub"
                )
        return cls.of_state(_settings(path / CONFIG), read_weights(path / WEIGHTS), str(path))

    @classmethod
    def from_published(cls: type[_Model], state: Mapping[str, Tensor], heads: int) -> _Model:
        """The model whose weights `state` holds under their published names.

        Args:
            state: state dict, which is copied; every size but `heads` follows from its shapes.
            heads: attention heads; 16 in arXiv:2504.10141, 8 for its small networks.

        Raises:
            ValueError: if a name or a shape is not that of a published model.
        """
        settings, ours = translate({name: t.clone() for name, t in state.items()}, heads)
        return cls.of_state(settings, ours, "not a published SANE model")

    @classmethod
    def of_state(
        cls: type[_Model], settings: Mapping[str, Any], state: Mapping[str, Tensor], where: str
    ) -> _Model:
        """The model of these settings that holds these tensors themselves, for evaluation.

        Args:
            settings: arguments of the constructor.
            state: its state dict.
            where: it comes from, for the message of an error.

        Raises:
            ValueError: a setting or tensor does not fit; the first that differs is named.
        """
        try:
            with torch.device("meta"):  # sizes only: nothing is initialised or drawn
                model = cls(**settings)
        except TypeError as error:
            raise ValueError(f"{where}: {error}; a newer mzsane may know this setting") from error
        if difference := differing(state, model.state_dict()):
            raise ValueError(f"{where}: {difference}")
        model.load_state_dict(state, assign=True)
        for parameter in model.parameters():
            parameter.requires_grad_()
        return model.eval()

    def push_to_hub(
        self,
        repository: str,
        card: Card | None = None,
        private: bool = True,
        message: str = "Upload a SANE model",
    ) -> str:
        """Upload what `save_pretrained` writes; returns the address of the commit.

        Args:
            repository: ``owner/name``, made where it is missing. The account is the one that
                ``hf auth login`` or `HF_TOKEN` names.
            card: see `Card`.
            private: of a repository that is made; False shows it to everybody.
            message: of the commit.

        Raises:
            FileNotFoundError: the hub cannot be reached, or refuses.
            ValueError: huggingface_hub is missing.
        """
        hub, errors = _hub(repository)
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, card)
            try:
                hub.create_repo(repository, private=private, exist_ok=True)
                commit = hub.upload_folder(
                    repo_id=repository, folder_path=folder, commit_message=message
                )
            except errors as error:
                raise FileNotFoundError(
                    f"{repository}: the Hugging Face hub does not take it "
                    f"({type(error).__name__}); log in with `hf auth login`, check the name and "
                    "the connection"
                ) from error
        return str(commit.commit_url)

    @classmethod
    def _from_published(cls: type[_Model], path: Path, heads: int | None) -> _Model:
        state = read_weights(path)
        if not is_published(state):
            raise ValueError(
                f"{path}: no weights under the published names; of a run's checkpoint make a "
                "folder first: python -m mzsane.export CHECKPOINT FOLDER"
            )
        if heads is None:
            raise ValueError(f"{path}: the number of attention heads cannot be seen; give heads=")
        return cls.from_published(state, heads)


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text())["model"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: not the settings of a model ({error})") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: not the settings of a model")
    return settings


def _fetch(name: str) -> Path:
    repository, _, revision = name.partition("@")
    hub, errors = _hub(name)
    try:
        folder = hub.snapshot_download(
            repository, revision=revision or None, allow_patterns=[CONFIG, WEIGHTS, PAGE]
        )
    except errors as error:
        raise FileNotFoundError(
            f"{name}: there is no such folder, and it cannot be fetched from the Hugging Face hub "
            f"({type(error).__name__}); check its name, your access to it and the connection"
        ) from error
    return Path(folder)


def _hub(name: str) -> tuple[Any, tuple[type[BaseException], ...]]:
    """The hub, and what it raises: OSError and the error of whichever HTTP client it uses."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise ValueError(
            f"{name} is on the Hugging Face hub; to use it, pip install 'mzsane[hub]'"
        ) from error
    return HfApi(), (*HfHubHTTPError.__bases__, HfHubHTTPError)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
