"""A zoo may be larger than memory: what storing one takes does not grow with it."""

import os
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from mzsane.stores import TokenStore, write_store
from mzsane.zoos import ModelRecord

RESET = Path("/proc/self/clear_refs")
ROWS, COLUMNS, MODELS = 64, 35_000, 50  # 9 MB a model
MIB = 2**20


def weights(seed):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(ROWS, COLUMNS, generator=generator)
    return {"a.weight": values, "b.weight": values[:, :2].clone()}


def resident(name):
    """VmRSS, or VmHWM, its largest value since it was reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def taken(folder):
    """Bytes by which memory grows at most while a zoo is stored and verified."""
    groups = {"hidden": ["a.weight:0", "b.weight:0"]}
    records = [ModelRecord(f"{n:02d}", 1, partial(weights, n)) for n in range(MODELS)]
    write_store(folder / "first.h5", records[:2], name="a", symmetry=groups)  # imports, caches
    before = resident("VmRSS")
    RESET.write_text("5")  # forgets the peak until now
    write_store(folder / "a.h5", records, name="a", symmetry=groups)
    TokenStore.open(folder / "a.h5").verify()
    return resident("VmHWM") - before


@pytest.mark.skipif(not os.access(RESET, os.W_OK), reason="tells peak memory on Linux only")
def test_memory_does_not_grow_with_the_zoo(tmp_path):
    with get_context("spawn").Pool(1) as process:  # nothing else grows there
        grown = process.apply(taken, [tmp_path])
    assert len(TokenStore.open(tmp_path / "a.h5")) == MODELS
    assert (tmp_path / "a.h5").stat().st_size > 400 * MIB
    assert grown < 200 * MIB
