"""Downloads end whole, checked and resumed, or in one sentence that says what to do."""

import hashlib
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mzsane.zoos import Download

BODY = np.random.default_rng([0, 7]).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
OTHER = BODY[:100_000] + bytes(200_000)  # starts alike, as another version of a file would


@pytest.fixture
def zoo(server, tmp_path):
    """Makes a download of one file of the server."""
    server.files["published/zoo.zip"] = BODY

    def download(facts=None, **settings):
        quick = {"retries": 2, "pause": 0.001, "timeout": 5.0, **settings}
        address = {"base_url": "https://zoos.example/published/", "mirror": server.url}
        return Download(tmp_path / "zoo", files={"zoo.zip": facts}, **address | quick)

    return download


@pytest.fixture
def file(tmp_path):
    return tmp_path / "zoo" / "zoo.zip"


def leftovers(folder):
    return sorted({p.name for p in folder.iterdir()} - {"zoo.zip", "checksums.json"})


def refused(download, error=ValueError):
    """The sentence with which a download fails."""
    with pytest.raises(error) as failure:
        download.fetch()
    text = str(failure.value)
    assert "\n" not in text
    return text


def stopped_midway(zoo, server, after=150_000):
    """A download that lost its connection for good."""
    server.always_drop = after
    with pytest.raises(ConnectionError):
        zoo(retries=0).fetch()
    server.always_drop = None
    server.seen.clear()


def test_a_mirror_serves_the_same_paths(zoo, server, file):
    zoo().fetch()
    assert file.read_bytes() == BODY
    assert server.fetched("published/zoo.zip") == [None]
    assert leftovers(file.parent) == [".download.lock"]


@pytest.mark.parametrize("facts", [{"sha256": SHA256}, {"md5": hashlib.md5(BODY).hexdigest()}])
def test_known_checksums_are_compared(zoo, server, file, facts):
    zoo(facts).fetch()
    assert file.read_bytes() == BODY


def test_a_complete_folder_needs_no_server_and_no_right_to_write(zoo, server, file):
    zoo().fetch()
    server.server.shutdown()
    file.parent.chmod(0o500)
    try:
        zoo().fetch()
    finally:
        file.parent.chmod(0o700)


def test_dropped_connections_are_resumed_where_they_broke(zoo, server, file):
    server.drops = [100_000, 100_000]
    zoo().fetch()
    assert file.read_bytes() == BODY
    first, second, third = server.fetched("published/zoo.zip")
    assert first is None
    assert 0 < int(second[6:-1]) < int(third[6:-1]) < len(BODY)


def test_attempts_that_bring_something_are_no_failures(zoo, server, file):
    server.always_drop = 70_000
    zoo(retries=1).fetch()
    assert file.read_bytes() == BODY


def test_a_later_command_goes_on_where_the_first_was_interrupted(zoo, server, file):
    def interrupt(stage, done, total):
        if "megabytes" in stage and done > 10:
            raise KeyboardInterrupt

    server.files["published/zoo.zip"] = large = BODY * 80
    server.slowly = 0.005
    with pytest.raises(KeyboardInterrupt):
        zoo().fetch(interrupt)
    assert not file.exists()
    server.seen.clear()
    server.slowly = 0
    zoo({"sha256": hashlib.sha256(large).hexdigest()}).fetch()
    (wanted,) = server.fetched("published/zoo.zip")
    assert int(wanted[6:-1]) > 10 * 10**6


def test_a_file_that_changed_meanwhile_is_not_spliced(zoo, server, file):
    stopped_midway(zoo, server)
    server.files["published/zoo.zip"] = OTHER
    zoo().fetch()
    assert file.read_bytes() == OTHER


def test_a_server_that_splices_is_found_out(zoo, server, file):
    stopped_midway(zoo, server)
    server.files["published/zoo.zip"], server.if_range = OTHER, False
    zoo().fetch()
    assert file.read_bytes() == OTHER


@pytest.mark.parametrize("tags", ["weak", "none"])
def test_without_a_name_for_the_version_a_download_starts_over(zoo, server, file, tags):
    server.tags = tags
    stopped_midway(zoo, server)
    zoo().fetch()
    assert file.read_bytes() == BODY
    assert server.fetched("published/zoo.zip") == [None]


def test_a_server_that_gives_no_parts_is_asked_for_the_whole(zoo, server, file):
    server.ranges, server.drops = False, [200_000]
    zoo().fetch()
    assert file.read_bytes() == BODY


def test_a_part_that_is_whole_already_is_taken(zoo, server, file):
    stopped_midway(zoo, server)
    (file.parent / ".zoo.zip.part").write_bytes(BODY)  # killed between the last byte and the name
    zoo({"sha256": SHA256}).fetch()
    assert file.read_bytes() == BODY


def test_a_busy_server_is_asked_again(zoo, server, file):
    server.statuses = [503, 429]
    zoo().fetch()
    assert file.read_bytes() == BODY


def test_a_server_that_stays_busy_is_named(zoo, server):
    server.statuses = [503] * 9
    text = refused(zoo(), ConnectionError)
    assert f"{server.url}/published/zoo.zip: 3 attempts brought nothing" in text
    assert "503" in text
    assert len(server.seen) == 3


def test_a_dead_mirror_is_named(zoo):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{unused.getsockname()[1]}"
    text = refused(zoo(mirror=dead), ConnectionError)
    assert dead in text
    assert "Connection refused" in text
    assert "zoo.mirror" in text


def test_a_missing_file_is_named_at_once(zoo, server):
    server.files.clear()
    text = refused(zoo(), FileNotFoundError)
    assert f"{server.url}/published/zoo.zip: the server has no such file (404" in text
    assert len(server.seen) == 1


def test_a_refusal_is_told_at_once(zoo, server):
    server.statuses = [403]
    assert "403 Forbidden" in refused(zoo(), OSError)
    assert len(server.seen) == 1


def test_wrong_bytes_are_removed_and_both_checksums_told(zoo, server, file):
    server.files["published/zoo.zip"] = OTHER
    text = refused(zoo({"sha256": SHA256}))
    assert SHA256 in text
    assert hashlib.sha256(OTHER).hexdigest() in text
    assert leftovers(file.parent) == [".download.lock"]
    assert not file.exists()


def test_another_size_is_found_before_it_is_downloaded(zoo, server, file):
    assert "300000 bytes are there, 200000 were expected" in refused(zoo({"size": 200_000}))
    assert leftovers(file.parent) == [".download.lock"]


def test_an_unknown_checksum_is_recorded_at_first_and_compared_ever_after(zoo, server, file):
    zoo().fetch()
    record = json.loads((file.parent / "checksums.json").read_text())["zoo.zip"]
    assert record["checksum"] == f"sha256:{SHA256}"
    file.unlink()
    server.files["published/zoo.zip"] = OTHER
    assert SHA256 in refused(zoo())
    assert not file.exists()


def test_a_file_damaged_on_disk_is_fetched_again(zoo, file):
    zoo().fetch()
    file.write_bytes(OTHER)
    zoo().fetch()
    assert file.read_bytes() == BODY


def test_a_checksum_known_later_is_compared_with_what_is_there(zoo, server, file):
    server.files["published/zoo.zip"] = OTHER
    zoo().fetch()
    server.files["published/zoo.zip"] = BODY
    zoo({"sha256": SHA256}).fetch()
    assert file.read_bytes() == BODY


def test_a_file_put_there_by_hand_is_taken(zoo, server, file):
    file.parent.mkdir()
    file.write_bytes(BODY)
    zoo({"sha256": SHA256}).fetch()
    assert server.seen == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told(zoo, file, monkeypatch):
    monkeypatch.setattr(Path, "touch", lambda path: path.symlink_to("/dev/full"))
    text = refused(zoo(), OSError)
    assert ".zoo.zip.part: cannot be written" in text
    assert "No space left on device" in text
    assert "goes on from there" in text


def test_damaged_records_are_named(zoo, file):
    zoo().fetch()
    (file.parent / "checksums.json").write_text("{")
    assert f"{file.parent / 'checksums.json'}: damaged" in refused(zoo())


def test_of_two_downloads_at_once_one_waits(zoo, server, file):
    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(zoo().fetch) for _ in range(2)]:
            done.result(timeout=60)
    assert file.read_bytes() == BODY
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "name", ["../zoo.zip", "/zoo.zip", "a/../../zoo.zip", "a\\..\\zoo.zip", ""]
)
def test_nothing_is_written_outside_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="no name of a file below the folder"):
        Download(tmp_path / "zoo", "http://127.0.0.1/", {name: None}).fetch()
    assert list(tmp_path.iterdir()) == []


def test_unknown_facts_are_named():
    with pytest.raises(ValueError, match=r"zoo\.zip: 'sha1' says nothing of a file"):
        Download("zoo", "http://127.0.0.1/", {"zoo.zip": {"sha1": "0"}})


def test_a_download_has_files():
    with pytest.raises(ValueError, match="name the files"):
        Download("zoo", "http://127.0.0.1/", {})


def test_a_mirror_without_protocol_is_refused(zoo):
    text = refused(zoo(mirror="127.0.0.1:8000"), ValueError)
    assert "begin it with http://" in text
