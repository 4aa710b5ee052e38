"""State dicts out of the files that training leaves, without executing anything from them."""

import re
import warnings
from collections.abc import Mapping
from io import BufferedIOBase
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from mzsane.zoos.reading.trees import Tree
from mzsane.zoos.reading.variational import fold_spreads

# Where trainers keep the weights among the rest, in the order in which they are looked for
WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
DEPTH = 4  # of wrappers; a file can hold itself
_ATTRIBUTES = ("model.", "net.", "network.")  # what a LightningModule calls its network
_COPIES = ("module.", "_orig_mod.")  # data-parallel and compiled networks
_CODE = re.compile(r"GLOBAL ([\w.]+)")  # torch's word for a class or function in a pickle
_NOTES = int | float | str | None  # epochs, best accuracies


def load_weights(path: Tree, trust_pickle: bool = False) -> dict[str, Tensor]:
    """The state dict in a file of torch (any version's) or safetensors, on the CPU.

    In this order: weights are looked for under the names in `WRAPPERS`, and within what is found;
    numbers and words beside tensors are left out, as notes of the trainer; ``module.`` and
    ``_orig_mod.`` of parallel and compiled networks are taken off the names, and so is the
    attribute (``model.``, ``net.``, ``network.``) in which a Lightning checkpoint holds
    everything; variational dropout is folded (see `fold_spreads`). Types stay as they are, and so
    does the order of names; safetensors keep none, theirs are sorted, numbers by value.

    Args:
        path: of the file, on disk or in an archive; its name tells nothing.
        trust_pickle: unpickle without protection, which runs whatever code the file contains.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is damaged, contains code, or holds no state dict.
    """
    with path.open("rb") as file:
        document = _document(file, trust_pickle)
    return weights_in(document)


def weights_in(document: Any) -> dict[str, Tensor]:
    """The state dict in what a file holds; `load_weights` says by which rules.

    Raises:
        ValueError: it holds none, or something between the tensors that is no note.
    """
    document, lightning = _unwrapped(document)
    tensors = {n: t.detach() for n, t in document.items() if isinstance(t, Tensor)}
    rest = {n: value for n, value in document.items() if not isinstance(value, Tensor | _NOTES)}
    if not tensors or not all(isinstance(name, str) for name in tensors):
        raise ValueError("it holds no state dict, that is, no mapping from names to tensors")
    if rest:
        raise ValueError(
            f"it holds {', '.join(map(str, list(rest)[:3]))} among tensors, and none of "
            f"{', '.join(WRAPPERS)} that would tell the weights from the rest; save them alone"
        )
    return fold_spreads(_renamed(tensors, _COPIES + (_ATTRIBUTES if lightning else ())))


def _document(file: BufferedIOBase, trust_pickle: bool) -> Any:
    """What a file holds, of either format."""
    try:
        if _is_safetensors(file):
            return dict(sorted(safetensors.torch.load(file.read()).items(), key=_by_number))
        if trust_pickle:
            warnings.warn("trust_pickle=True runs whatever code a file contains", stacklevel=3)
        return torch.load(file, map_location="cpu", weights_only=not trust_pickle)
    except Exception as error:  # both libraries raise nearly anything for a damaged file
        raise ValueError(f"cannot be loaded: {sentence(error)}") from error


def _is_safetensors(file: BufferedIOBase) -> bool:
    """Whether a length and the brace of a JSON object come first, as in no file of torch."""
    start = file.read(9)
    file.seek(0)
    return start[8:] == b"{"


def _by_number(named: tuple[str, Tensor]) -> list[tuple[int, str]]:
    """Sorts layer 2 before layer 10."""
    parts = re.split(r"(\d+)", named[0])
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _unwrapped(document: Any) -> tuple[Mapping[Any, Any], bool]:
    """The innermost mapping with weights, and whether Lightning's trainer wrote the file."""
    lightning = False
    for _ in range(DEPTH):
        if isinstance(document, nn.Module):  # only where pickles are trusted
            document = document.state_dict()
        if not isinstance(document, Mapping):
            break
        lightning |= "pytorch-lightning_version" in document
        inner = (document[key] for key in WRAPPERS if key in document)
        found = next((value for value in inner if isinstance(value, Mapping | nn.Module)), None)
        if found is None:
            return document, lightning
        document = found
    raise ValueError("it holds no state dict, that is, no mapping from names to tensors")


def _renamed(state: Mapping[str, Tensor], prefixes: tuple[str, ...]) -> dict[str, Tensor]:
    """Without the prefixes that all names share, in any order."""
    for prefix in prefixes:
        if all(name.startswith(prefix) and name != prefix for name in state):
            return _renamed({n.removeprefix(prefix): t for n, t in state.items()}, prefixes)
    # a part of a network can be compiled alone
    return {name.replace("._orig_mod.", "."): tensor for name, tensor in state.items()}


def sentence(error: Exception) -> str:
    """What is wrong, without torch's advice to load it unprotected."""
    if code := _CODE.search(str(error)):
        return f"it needs {code[1]}, which is code; trust_pickle=true runs it, if you trust it"
    lines = [line.strip() for line in str(error).splitlines() if "weights_only" not in line]
    told = next(filter(None, lines), "no details").partition(". ")[0]
    return f"{type(error).__name__}: {told}"
