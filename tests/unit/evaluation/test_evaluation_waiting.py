"""Other processes wait for as long as the first one takes, and not for one that has ended."""

import os
import time
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist

from mzsane.evaluation import Together


def on_one_rank(rank, folder, ready):
    ready.wait()  # or one that starts late makes the other's rendezvous run into the timeout
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2,
        timeout=timedelta(seconds=5),
    )  # fmt: skip
    together = Together.of_run()
    if rank == 0:
        time.sleep(8)  # longer than a barrier of the group that trains would wait
    together.share()
    torch.save("came through", folder / f"{rank}.pt")
    if rank == 1:
        with pytest.raises(SystemExit) as stop:
            together.share()  # the first process is gone
        torch.save(str(stop.value), folder / "alone.pt")
    os._exit(0)  # gone at once, as if killed; taking gloo's threads down in order may abort instead


def test_others_outlast_the_timeout_and_leave_when_the_first_is_gone(tmp_path):
    ready = torch.multiprocessing.get_context("spawn").Barrier(2)
    torch.multiprocessing.spawn(on_one_rank, (tmp_path, ready), nprocs=2)
    assert [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)] == ["came through"] * 2
    assert torch.load(tmp_path / "alone.pt") == "1"
