"""Whoever does the work, the store is the same."""

import os

import pytest

from mzsane.stores import Crew, TokenStore, crew, write_store
from mzsane.zoos import read_trials


def pid(_):
    return os.getpid()


def ten_times(number):
    return 10 * number


def fail(number):
    raise OSError(f"no room for {number}")


def test_quick_work_stays_in_this_process():
    assert set(Crew(2).map(pid, range(20))) == {os.getpid()}


def test_long_work_is_spread_in_order(monkeypatch):
    monkeypatch.setattr(crew, "STARTING", 0.0)
    assert list(Crew(2).map(ten_times, range(9))) == [10 * number for number in range(9)]
    pids = list(Crew(2).map(pid, range(9)))
    assert pids[0] == os.getpid()
    assert os.getpid() not in pids[1:]


def test_an_error_of_another_process_arrives_here(monkeypatch):
    monkeypatch.setattr(crew, "STARTING", 0.0)
    with pytest.raises(OSError, match="no room for 0"):
        list(Crew(2).map(fail, range(9)))
    with pytest.raises(OSError, match="no room for"):
        list(Crew(2, "threading").map(fail, range(9)))


def test_parts_cover_everything_once():
    for count in range(40):
        parts = Crew(2).split(count, 3)
        assert [n for part in parts for n in range(count)[part]] == list(range(count))
        assert all(part.stop - part.start <= 3 for part in parts)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_store_does_not_depend_on_who_makes_it(tmp_path, trials, monkeypatch, backend):
    write_store(tmp_path / "one.h5", read_trials(trials), name="a")
    monkeypatch.setattr(crew, "STARTING", 0.0)
    write_store(tmp_path / "two.h5", read_trials(trials), name="a", crew=Crew(2, backend))
    one, two = (TokenStore.open(tmp_path / name) for name in ("one.h5", "two.h5"))
    assert one.content_hash == two.content_hash


def test_a_dask_cluster_makes_the_same_store(tmp_path, trials):
    distributed = pytest.importorskip("distributed")
    write_store(tmp_path / "one.h5", read_trials(trials), name="a")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address=":0"
    ) as cluster:
        workers = Crew(-1, "dask", cluster.scheduler_address)
        assert os.getpid() not in set(workers.map(pid, range(3)))
        write_store(tmp_path / "two.h5", read_trials(trials), name="a", crew=workers)
    one, two = (TokenStore.open(tmp_path / name) for name in ("one.h5", "two.h5"))
    assert one.content_hash == two.content_hash


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match=r"parallel\.backend=carrier_pigeon"):
        list(Crew(2, "carrier_pigeon").map(pid, range(3)))
