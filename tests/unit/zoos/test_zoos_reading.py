"""Whatever the layout, `read_zoo` finds it out and gives the same records."""

import json
import pickle
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.zoos import ModelRecord, Skipped, read_zoo

STATE = {"0.weight": torch.ones(3, 2), "0.bias": torch.zeros(3)}


def write_trials(folder, names=("a", "b"), epochs=(1, 2)):
    for name in names:
        trial = folder / name
        trial.mkdir(parents=True)
        (trial / "params.json").write_text(json.dumps({"optim::lr": 0.1}))
        lines = [{"training_iteration": epoch, "test_acc": epoch / 10} for epoch in epochs]
        (trial / "result.json").write_text("\n".join(map(json.dumps, lines)))
        for epoch in epochs:
            (trial / f"checkpoint_{epoch}").mkdir()
            torch.save(STATE, trial / f"checkpoint_{epoch}" / "checkpoints")
    return folder


def pack(folder, archive):
    """Into an archive of the kind that its name tells."""
    kind = {".zip": "zip", ".tar": "tar"}.get(archive.suffix, "gztar")
    made = shutil.make_archive(str(archive.parent / "packed"), kind, folder)
    Path(made).rename(archive)
    return archive


def facts(members):
    return [(r.model, r.epoch, r.properties) for r in members if isinstance(r, ModelRecord)]


EXPECTED = [
    (name, epoch, {"optim::lr": 0.1, "training_iteration": epoch, "test_acc": epoch / 10})
    for name in ("a", "b")
    for epoch in (1, 2)
]


def test_trials_are_recognised(tmp_path):
    write_trials(tmp_path)
    assert facts(read_zoo(tmp_path)) == facts(read_zoo(str(tmp_path))) == EXPECTED


@pytest.mark.parametrize("name", ["zoo.zip", "zoo.tar", "zoo.tar.gz"])
def test_an_archive_is_read_as_the_folder_in_it(tmp_path, name):
    archive = pack(write_trials(tmp_path / "zoo"), tmp_path / name)
    records = list(read_zoo(archive))
    assert facts(records) == EXPECTED
    for record in records:
        state = pickle.loads(pickle.dumps(record.load))()
        assert all(torch.equal(state[key], STATE[key]) for key in STATE)
    assert str(tmp_path) in records[0].provenance["file"]


@pytest.mark.parametrize("name", ["model.pt", "model_epoch_3.pth"])
def test_files_without_trials_are_a_plain_zoo(tmp_path, name):
    (tmp_path / "m").mkdir()
    torch.save(STATE, tmp_path / "m" / name)
    (record,) = read_zoo(tmp_path)
    assert (record.model, record.epoch) == ("m", 3 if "3" in name else 0)


def test_a_folder_of_archives_is_all_of_them(tmp_path):
    first = write_trials(tmp_path / "first")
    torch.save(STATE, (tmp_path / "plain.pt"))
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    pack(first, zoo / "small_v1.0.zip")
    with tarfile.open(zoo / "large.tar", "w") as tar:
        tar.add(tmp_path / "plain.pt", "m/x.pt")
    (zoo / "broken.zip").write_bytes(b"PK")
    members = list(read_zoo(zoo))
    models = {r.model for r in members if isinstance(r, ModelRecord)}
    assert models == {"large/m/x", "small_v1.0/a", "small_v1.0/b"}
    (skipped,) = [m for m in members if isinstance(m, Skipped)]
    assert skipped.path == str(zoo / "broken.zip")


def test_archives_that_would_give_models_one_name_are_refused(tmp_path):
    folder = write_trials(tmp_path / "folder")
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    for name in ("x.zip", "x.tar"):
        pack(folder, zoo / name)
    with pytest.raises(ValueError, match="two would give models the same names"):
        read_zoo(zoo)


def test_a_folder_of_archives_none_of_which_can_be_read_is_an_error(tmp_path):
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"no archive can be read; the first: .*broken"):
        read_zoo(tmp_path)


def test_a_snapshot_of_the_hub_tells_where_it_is_from(tmp_path):
    snapshot = tmp_path / "models--someone--zoo" / "snapshots" / "abc"
    write_trials(snapshot / "model_zoos" / "cnn3")
    record = next(read_zoo(snapshot))
    assert record.model == "model_zoos/cnn3/a"
    assert record.provenance["repository"] == "hf://someone/zoo"
    assert record.provenance["revision"] == "abc"


def test_settings_reach_every_layout(tmp_path):
    write_trials(tmp_path / "trials")
    (tmp_path / "plain").mkdir()
    for epoch in (1, 2):
        torch.save(STATE, tmp_path / "plain" / f"m_epoch_{epoch}.pt")
    archives = tmp_path / "archives"
    archives.mkdir()
    pack(tmp_path / "trials", archives / "x.zip")
    mlp = Architecture("mzsane.architectures.MLP", {}, (1, 28, 28), 10)
    for folder in ("trials", "plain", "archives"):
        records = list(read_zoo(tmp_path / folder, epochs=[2, 9], architecture=mlp))
        assert {(r.epoch, r.architecture) for r in records} == {(2, mlp)}
        with pytest.raises(ValueError, match="epochs"):
            read_zoo(tmp_path / folder, epochs=[9])


@pytest.mark.parametrize("layout", ["trials", "archives"])
def test_a_table_adds_properties_and_its_strangers_are_reported(tmp_path, layout):
    zoo = write_trials(tmp_path / "trials")
    prefix = ""
    if layout == "archives":
        (tmp_path / "archives").mkdir()
        zoo, prefix = pack(zoo, tmp_path / "archives" / "x.zip").parent, "x/"
    table = tmp_path / "more.csv"
    table.write_text(f"model,epoch,colour\n{prefix}a,,red\n{prefix}b,2,blue\nnobody,,green\n")
    members = list(read_zoo(zoo, properties=table))
    colours = [properties.get("colour") for _, _, properties in facts(members)]
    assert colours == ["red", "red", None, "blue"]
    assert isinstance(members[-1], Skipped)
    assert "nobody" in members[-1].reason


def test_a_format_can_be_insisted_on(tmp_path):
    torch.save(STATE, tmp_path / "m.pt")
    assert [r.model for r in read_zoo(tmp_path, format="plain")] == ["m"]
    with pytest.raises(FileNotFoundError, match="no folder in it has a params"):
        read_zoo(tmp_path, format="trials")
    with pytest.raises(ValueError, match="format 'zip' is unknown; choose from auto, trials, plai"):
        read_zoo(tmp_path, format="zip")


def test_what_is_no_zoo_is_said_at_once(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").touch()
    with pytest.raises(FileNotFoundError, match="no such folder or archive"):
        read_zoo(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="empty"):
        read_zoo(tmp_path / "empty")
    with pytest.raises(ValueError, match="neither a folder nor an archive"):
        read_zoo(tmp_path / "file.txt")
    write_trials(tmp_path / "zoo")
    with pytest.raises(FileNotFoundError, match="no such table"):
        read_zoo(tmp_path / "zoo", properties=tmp_path / "nowhere.csv")


def test_an_archive_with_a_way_out_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../outside.pt", b"")
    with pytest.raises(ValueError, match="outside"):
        read_zoo(tmp_path / "x.zip")
    assert not (tmp_path.parent / "outside.pt").exists()


def test_a_table_in_percent_is_as_good_beside_trials(tmp_path):
    zoo = write_trials(tmp_path / "zoo")
    table = tmp_path / "more.csv"
    table.write_text("model,val_acc,train_acc\na,81,90\nb,0.9,50\n")
    found = {(r.model, r.epoch): r.properties for r in read_zoo(zoo, properties=table)}
    assert found["a", 1]["val_acc"] == 0.81
    assert found["b", 2]["val_acc"] == pytest.approx(0.009)  # the table as a whole is in percent
    assert found["a", 2]["test_acc"] == 0.2
    assert found["a", 2]["ggap"] == pytest.approx(0.7)


def test_an_archive_beside_models_is_reported(tmp_path):
    zoo = write_trials(tmp_path / "zoo")
    pack(write_trials(tmp_path / "other"), zoo / "more.zip")
    *members, unread = read_zoo(zoo)
    assert facts(members) == EXPECTED
    assert unread == Skipped(
        str(zoo / "more.zip"), "an archive beside models is not read; give it as zoo.path"
    )


def test_a_result_without_a_number_costs_no_other(tmp_path):
    zoo = write_trials(tmp_path)
    with (zoo / "a" / "result.json").open("a") as file:
        file.write('\n{"summary": 1}')
    assert facts(read_zoo(zoo)) == EXPECTED
