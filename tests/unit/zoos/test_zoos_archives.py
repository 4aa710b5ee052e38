"""Archives: read in place like folders, unpacked without reaching outside them."""

import errno
import io
import os
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mzsane.architectures import Architecture
from mzsane.zoos import read_trials
from mzsane.zoos.reading import archives
from mzsane.zoos.reading.plain import read_plain
from mzsane.zoos.reading.trees import Member, stamp, walk
from mzsane.zoos.reading.trials import append_result, write_checkpoint, write_params
from mzsane.zoos.reading.unpacking import read_archive, unpack

MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
KINDS = (".zip", *MODES)
CNN = Architecture("mzsane.architectures.CNN", {"width": [2, 2, 2]}, (1, 28, 28), 10)


def pack(folder, archive):
    """The whole folder, with its name, links as links."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            for path in sorted(folder.rglob("*")):
                opened.write(path, path.relative_to(folder.parent))
    else:
        with tarfile.open(archive, MODES[archive.name[archive.name.index(".") :]]) as opened:
            opened.add(folder, folder.name)
    return archive


def malicious(archive, name, *, link=None, kind=tarfile.REGTYPE):
    """An archive with a good file and one bad member."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as opened:
            opened.writestr("good.txt", "good")
            info = zipfile.ZipInfo(name)
            if link is not None:
                info.external_attr = 0o120777 << 16
            opened.writestr(info, link or "bad")
        return archive
    with tarfile.open(archive, MODES[archive.name[archive.name.index(".") :]]) as opened:
        opened.addfile(tarfile.TarInfo("good.txt"))
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link or ""
        opened.addfile(info)
    return archive


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Trials of two models with two epochs each, and plain files beside them."""
    folder = tmp_path_factory.mktemp("archives") / "zoo"
    for seed in (1, 2):
        trial = folder / f"trial_{seed}"
        trial.mkdir(parents=True)
        write_params(trial, {"optim::lr": 0.1}, CNN)
        for epoch in (0, 3):
            append_result(trial, epoch, {"test_acc": epoch / 10})
            write_checkpoint(trial, epoch, CNN.build(seed + epoch).state_dict())
    (folder / ".is_checkpoint").write_text("")
    return folder


def known(member):
    return member.model, member.epoch, member.properties


@pytest.mark.parametrize("kind", KINDS)
def test_trials_in_an_archive_are_those_of_the_folder(zoo, tmp_path, kind):
    expected = list(read_trials(zoo))
    content = read_archive(pack(zoo, tmp_path / f"packed{kind}"))
    found = list(read_trials(content / "zoo"))
    assert [known(record) for record in found] == [known(record) for record in expected]
    for record, other in zip(found, expected, strict=True):
        state, wanted = record.load(), other.load()
        assert state.keys() == wanted.keys()
        assert all(torch.equal(state[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("kind", [".zip", ".tar"])
def test_nothing_is_written_to_read_in_place(zoo, tmp_path, kind):
    archive = pack(zoo, tmp_path / f"packed{kind}")
    for record in read_trials(read_archive(archive)):
        record.load()
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize("kind", [".zip", ".tar"])
def test_plain_files_in_an_archive(tmp_path, kind):
    (tmp_path / "z" / "run").mkdir(parents=True)
    for epoch in (1, 2):
        torch.save({"w": torch.tensor([epoch])}, tmp_path / "z" / "run" / f"epoch_{epoch}.pt")
    torch.save({"epoch": 4, "state_dict": {"w": torch.ones(1)}}, tmp_path / "z" / "last.ckpt")
    (tmp_path / "z" / "properties.csv").write_text("model,lr\nrun,0.1\n")
    content = read_archive(pack(tmp_path / "z", tmp_path / f"packed{kind}")) / "z"
    *run, z = read_plain(content)
    assert (z.model, z.epoch) == ("z", 4)
    assert [(r.model, r.epoch, r.load()["w"].item()) for r in run] == [("run", 1, 1), ("run", 2, 2)]
    assert run[0].properties == {"lr": 0.1}


@pytest.mark.parametrize("kind", [".zip", ".tar"])
def test_a_record_of_an_archive_is_small_and_loads_in_another_process(zoo, tmp_path, kind):
    record = next(iter(read_trials(read_archive(pack(zoo, tmp_path / f"packed{kind}")))))
    sent = pickle.dumps(record.load)
    assert len(sent) < 1000
    assert pickle.loads(sent)().keys() == record.load().keys()


@given(
    st.dictionaries(st.sampled_from(["a", "b/a", "b/c", "d/e/f", "ü g"]), st.binary(max_size=99))
)
@pytest.mark.parametrize("kind", [".zip", ".tar", ".tgz"])
def test_unpacking_gives_back_every_file(tmp_path_factory, kind, files):
    root = tmp_path_factory.mktemp("files")
    for name, content in files.items():
        (root / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "in" / name).write_bytes(content)
    (root / "in").mkdir(exist_ok=True)
    archive = pack(root / "in", root / f"packed{kind}")
    unpack(archive, root / "out")
    found = {p.relative_to(root / "out/in").as_posix(): p.read_bytes()
             for p in (root / "out").rglob("*") if p.is_file()}  # fmt: skip
    assert found == files
    visible = {path.name for path in root.iterdir() if not path.name.endswith(".lock")}
    assert visible == {"in", "out", archive.name}


BAD = {
    "above": {"name": "../escaped.txt"},
    "above, hidden": {"name": "a/b/../../../escaped.txt"},
    "inside, but odd": {"name": "a/../escaped.txt"},
    "absolute": {"name": "/tmp/escaped.txt"},
    "drive": {"name": "C:\\escaped.txt"},
    "backslashes": {"name": "..\\escaped.txt"},
    "link outside": {"name": "link", "link": "../escaped.txt", "kind": tarfile.SYMTYPE},
    "link to the system": {"name": "link", "link": "/etc/passwd", "kind": tarfile.SYMTYPE},
    "link to nothing": {"name": "link", "link": "nothing.txt", "kind": tarfile.SYMTYPE},
    "link to itself": {"name": "link", "link": "link", "kind": tarfile.SYMTYPE},
    "hard link": {"name": "link", "link": "../escaped.txt", "kind": tarfile.LNKTYPE},
    "device": {"name": "device", "kind": tarfile.CHRTYPE},
    "pipe": {"name": "pipe", "kind": tarfile.FIFOTYPE},
}
ONLY_TAR = ("hard link", "device", "pipe")


@pytest.mark.parametrize(
    ("kind", "bad"),
    [(k, b) for k in (".zip", ".tar", ".tar.gz") for b in BAD if k != ".zip" or b not in ONLY_TAR],
)
def test_members_that_lead_outside_are_refused_and_nothing_is_written(tmp_path, kind, bad):
    archive = malicious(tmp_path / f"bad{kind}", **BAD[bad])
    for use in (read_archive, lambda path: unpack(path, tmp_path / "deep" / "out")):
        with pytest.raises(ValueError, match=r"bad") as error:
            use(archive)
        assert BAD[bad]["name"] in str(error.value)
    assert not list(tmp_path.rglob("*escaped*"))
    assert not (tmp_path / "deep" / "out").exists()


def test_links_inside_the_archive_are_followed(tmp_path):
    folder = tmp_path / "models--o--n"
    (folder / "blobs").mkdir(parents=True)
    (folder / "snapshots").mkdir()
    (folder / "blobs" / "1f").write_text("weights")
    (folder / "snapshots" / "model.pt").symlink_to("../blobs/1f")
    os.link(folder / "blobs" / "1f", folder / "twin.pt")
    archive = pack(folder, tmp_path / "a.tar")
    content = dict(walk(read_archive(archive)))
    assert content["models--o--n/snapshots/model.pt"].read_text() == "weights"
    unpack(archive, tmp_path / "out")
    copy = tmp_path / "out" / "models--o--n" / "snapshots" / "model.pt"
    assert copy.read_text() == "weights"
    assert not copy.is_symlink()
    assert (tmp_path / "out" / "models--o--n" / "twin.pt").read_text() == "weights"


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_archive_is_called_damaged(zoo, tmp_path, kind):
    archive = pack(zoo, tmp_path / f"packed{kind}")
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    for use in (read_archive, lambda path: unpack(path, tmp_path / "out")):
        with pytest.raises(ValueError, match=f"packed{kind}.* is damaged"):
            use(archive)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_archive_is_called_so(tmp_path, kind):
    archive = tmp_path / f"page{kind}"
    archive.write_text("<html>404</html>" * 100)
    with pytest.raises(ValueError, match="is damaged"):
        read_archive(archive)
    with pytest.raises(FileNotFoundError):
        read_archive(tmp_path / f"missing{kind}")


def test_a_damaged_member_spoils_no_other(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for name in "ab":
            opened.writestr(name, f"content of {name}")
    archive.write_bytes(archive.read_bytes().replace(b"content of a", b"CONTENT of a"))
    content = read_archive(archive)
    assert (content / "b").read_text() == "content of b"
    with pytest.raises(ValueError, match=r"a.zip/a: damaged in the archive"):
        (content / "a").read_bytes()


def test_encrypted_and_unusually_compressed_members_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as opened:
        opened.writestr("member", "text")
    with pytest.raises(ValueError, match="zip's method 14; unpack the archive yourself"):
        (read_archive(tmp_path / "a.zip") / "member").read_text()
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[raw.rindex(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(ValueError, match="'member' is encrypted"):
        read_archive(tmp_path / "a.zip")


def test_a_killed_unpacking_starts_clean(zoo, tmp_path, monkeypatch):
    archive = pack(zoo, tmp_path / "a.zip")
    left = tmp_path / ".out.unpacking"
    left.mkdir()
    (left / "half").write_text("of a killed process")
    unpack(archive, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["zoo"]
    assert not left.exists()


def test_a_full_disk_is_told_and_leaves_nothing(zoo, tmp_path, monkeypatch):
    archive = pack(zoo, tmp_path / "a.tar")

    def full(self, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Member, "copy", full)
    with pytest.raises(OSError, match=r"a.tar cannot be unpacked into .*: no space left") as error:
        unpack(archive, tmp_path / "out")
    assert error.value.errno == errno.ENOSPC
    assert {path.name for path in tmp_path.iterdir()} - {".out.lock"} == {"a.tar"}


def test_a_folder_in_use_is_not_unpacked_into(zoo, tmp_path):
    archive = pack(zoo, tmp_path / "a.tar")
    (tmp_path / "out").mkdir()
    unpack(archive, tmp_path / "out")
    with pytest.raises(ValueError, match="is there already"):
        unpack(archive, tmp_path / "out")


def test_a_compressed_archive_is_decompressed_once_unless_it_changes(zoo, tmp_path, monkeypatch):
    archive = pack(zoo, tmp_path / "a.tgz")
    first = read_archive(archive)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", None)
        assert read_archive(archive) == first
    (zoo / "new.txt").write_text("")
    try:
        pack(zoo, archive)
    finally:
        (zoo / "new.txt").unlink()
    assert "zoo/new.txt" in dict(walk(read_archive(archive)))
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["a.tgz"]


def test_a_stamp_follows_the_content(tmp_path):
    stamps = set()
    for content in ("one", "two"):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
            opened.writestr("member", content)
        stamps.add(stamp(read_archive(tmp_path / "a.zip") / "member"))
    assert len(stamps) == 2


def test_a_member_behaves_like_a_path(tmp_path):
    folder = tmp_path / "f"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "b.json").write_text("{}")
    (folder / "a.txt").write_text("text")
    top = read_archive(pack(folder, tmp_path / "f.zip"))
    for path in (folder, top / "f"):
        assert path.name == "f"
        assert [p.name for p in sorted(path.iterdir())] == ["a.txt", "sub"]
        assert [name for name, _ in walk(path)] == ["a.txt", "sub/b.json"]
        assert (path / "sub").is_dir()
        assert not (path / "sub").is_file()
        assert (path / "sub" / "b.json").suffix == ".json"
        assert (path / "sub" / "b.json").parent == path / "sub"
        assert (path / "a.txt").exists()
        assert not (path / "none").exists()
        assert (path / "a.txt").open("rb").read() == b"text"
    assert top.name == "f"
    assert str(top / "f" / "a.txt") == str(tmp_path / "f.zip" / "f" / "a.txt")
    with pytest.raises(FileNotFoundError, match="no such file in the archive"):
        (top / "none").read_text()


def test_archives_are_known_by_their_names():
    for kind in KINDS:
        assert archives.is_archive(Path(f"a{kind.upper()}"))
    assert not archives.is_archive(Path("a.gz"))
    assert not archives.is_archive(Path("tar"))


def test_chunks_make_up_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_CHUNK", 7)
    content = os.urandom(50) + b"a" * 50
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as opened:
            opened.writestr("member", content)
        sink = io.BytesIO()
        (read_archive(tmp_path / "a.zip") / "member").copy(sink)
        assert sink.getvalue() == content
