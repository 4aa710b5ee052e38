"""The moments of fine-tuning, of more models than fit into memory at all of them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from safetensors.torch import load_file, save_file

from mzsane.architectures import Architecture
from mzsane.populations import Population

MEMORY = 2**31
"""Bytes of weights at all moments that are held; those of 30 small CNNs need a hundredth."""


def fitting(population: Population, moments: int) -> int:
    """Models whose weights at so many moments fit into `MEMORY`; 1 at least."""
    each = sum(tensor[:1].nbytes for tensor in population.tensors.values())
    return max(1, MEMORY // (each * moments))


def in_groups(
    train: Callable[[slice], list[Population]], models: int, together: int
) -> Iterator[Population]:
    """All models at each moment, of which groups are trained one after the other.

    What is said of models at one moment compares all of them. So the weights of a group go to
    temporary files (below `TMPDIR`, removed at the end) until its moment has come; memory holds
    one group at all moments, or all models at one.

    Args:
        train: gives some models at every moment.
        models: how many there are.
        together: models of a group; if that is all of them, no file is written.
    """
    if models <= together:
        yield from train(slice(None))
        return
    with TemporaryDirectory(prefix="mzsane-") as name:
        groups = [
            _written(train(slice(first, first + together)), Path(name) / f"{first}")
            for first in range(0, models, together)
        ]
        for parts in zip(*groups, strict=True):
            yield Population.concatenate([part.read() for part in parts])
            for part in parts:
                part.path.unlink()


class _Part(NamedTuple):
    """A group at one moment, in a file."""

    path: Path
    architecture: Architecture

    def read(self) -> Population:
        return Population(self.architecture, load_file(self.path))


def _written(moments: list[Population], folder: Path) -> list[_Part]:
    """A group at every moment, out of memory."""
    folder.mkdir()
    parts = []
    for number, population in enumerate(moments):
        parts.append(_Part(folder / f"{number}.safetensors", population.architecture))
        tensors = {name: tensor.contiguous() for name, tensor in population.tensors.items()}
        save_file(tensors, parts[-1].path)
    return parts
