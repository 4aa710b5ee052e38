"""Many files come several at once, and end together."""

import threading

import pytest

from mzsane.zoos import Download

FILES = {f"{number:02d}": str(number).encode() * 50 for number in range(24)}


@pytest.fixture
def zoo(server, tmp_path):
    """Makes a download of many small files."""
    server.files = {f"zoo/{name}": body for name, body in FILES.items()}

    def download(**settings):
        quick = {"retries": 1, "pause": 0.001, "timeout": 5.0}
        files = dict.fromkeys(FILES)
        return Download(tmp_path / "zoo", f"{server.url}/zoo", files, **quick | settings)

    return download


def brought(tmp_path):
    names = (path.name for path in (tmp_path / "zoo").iterdir())
    return sorted(name for name in names if name in FILES)


@pytest.mark.parametrize("connections", [1, 4])
def test_as_many_files_come_at_once_as_asked(zoo, server, tmp_path, connections):
    server.latency = 0.02
    zoo(connections=connections).fetch()
    assert {name: (tmp_path / "zoo" / name).read_bytes() for name in FILES} == FILES
    assert min(2, connections) <= server.most <= connections


def test_progress_is_told_in_order_by_the_thread_that_asked(zoo):
    told = []
    zoo().fetch(lambda stage, done, total: told.append((threading.get_ident(), done, total)))
    assert {thread for thread, _, _ in told} == {threading.get_ident()}
    assert {total for _, _, total in told} == {len(FILES)}
    assert sorted({done for _, done, _ in told}) == list(range(len(FILES) + 1))


def test_what_there_is_counts_as_done(zoo):
    zoo().fetch()
    told = []
    (zoo().folder / "07").unlink()
    zoo().fetch(lambda stage, done, total: told.append(done))
    assert told[0] == len(FILES) - 1


def test_an_interruption_ends_all_and_loses_none(zoo, server, tmp_path):
    def interrupt(stage, done, total):
        if done == 5:
            raise KeyboardInterrupt

    server.latency = 0.01
    with pytest.raises(KeyboardInterrupt):
        zoo(connections=4).fetch(interrupt)
    there = brought(tmp_path)
    assert 5 <= len(there) < len(FILES)
    assert len(there) == len(server.seen)
    server.seen.clear()
    zoo().fetch()
    assert len(server.seen) == len(FILES) - len(there)


def test_an_interruption_does_not_wait_for_the_next_attempt(zoo, server):
    def interrupt(stage, done, total):
        if server.seen:
            raise KeyboardInterrupt

    server.statuses = [503] * 99
    with pytest.raises(KeyboardInterrupt):
        zoo(pause=10_000).fetch(interrupt)


def test_a_refusal_ends_all(zoo, server):
    server.statuses = [200, 403]
    with pytest.raises(OSError, match="403 Forbidden"):
        zoo(connections=1).fetch()
    assert len(server.seen) < len(FILES)


def test_a_file_that_the_server_lacks_keeps_none_of_the_others_away(zoo, server, tmp_path):
    del server.files["zoo/03"], server.files["zoo/11"]
    with pytest.raises(FileNotFoundError, match=r"/zoo/03: .*of 24 files, it lacks 2"):
        zoo().fetch()
    assert brought(tmp_path) == sorted(FILES.keys() - {"03", "11"})


def test_a_folder_that_another_thread_makes_is_no_error(server, tmp_path, monkeypatch):
    def too_late(path, *_, **__):
        raise FileExistsError(path)  # what the second of two threads gets

    server.files = {"zoo/trial/params.json": b"{}"}
    monkeypatch.setattr("os.makedirs", too_late)
    Download(tmp_path / "zoo", f"{server.url}/zoo", {"trial/params.json": None}).fetch()
    assert (tmp_path / "zoo" / "trial" / "params.json").is_file()
