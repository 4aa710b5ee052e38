"""Tables of properties: numbers as floats, rows joined to models, and none lost."""

import json
import math

import pytest
import torch

from mzsane.zoos import ModelRecord, Skipped
from mzsane.zoos.reading.plain import read_plain
from mzsane.zoos.reading.tables import read_table


def zoo(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"w": torch.ones(1)}, folder / name)
    return folder


def properties(folder, **arguments):
    return {
        (m.model, m.epoch): m.properties
        for m in read_plain(folder, **arguments)
        if isinstance(m, ModelRecord)
    }


def reported(folder):
    return [m for m in read_plain(folder) if isinstance(m, Skipped)]


ROWS = [
    {"model": "a", "test_acc": 0.5, "optim": "adam"},
    {"model": "b", "test_acc": 0.25, "optim": "sgd"},
]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("properties.csv", "model,test_acc,optim\na,0.5,adam\nb,0.25,sgd\n"),
        ("properties.csv", "\ufeffoptim,file,test_acc\r\nadam,a.pt,0.5\r\nsgd,./b.pt,0.25\r\n"),
        ("properties.json", json.dumps(ROWS)),
        ("properties.json", json.dumps({row["model"]: row for row in ROWS})),
        ("properties.jsonl", "\n".join(map(json.dumps, ROWS)) + "\n\n"),
    ],
)
def test_every_kind_of_table_is_joined_to_the_models(tmp_path, name, text):
    zoo(tmp_path, "a.pt", "b.pt")
    (tmp_path / name).write_text(text)
    found = properties(tmp_path)
    expected = {"test_acc": 0.5, "optim": "adam"}
    assert expected.items() <= found["a", 0].items()
    assert found["b", 0]["test_acc"] == 0.25
    assert reported(tmp_path) == []


def test_a_table_elsewhere_is_read_when_named(tmp_path):
    zoo(tmp_path / "zoo", "a.pt")
    (tmp_path / "other.csv").write_text("name,lr\na,0.1\n")
    assert properties(tmp_path / "zoo", properties=tmp_path / "other.csv") == {
        ("a", 0): {"lr": 0.1}
    }


def test_rows_with_an_epoch_belong_to_it_and_others_to_all(tmp_path):
    zoo(tmp_path, "a/epoch_1.pt", "a/epoch_2.pt")
    text = "model,epoch,loss,lr\na,2,0.5,\na,,9,0.1\na,50,7,\n"
    (tmp_path / "properties.csv").write_text(text)
    assert properties(tmp_path) == {
        ("a", 1): {"loss": 9.0, "lr": 0.1}, ("a", 2): {"loss": 0.5, "lr": 0.1},
    }  # fmt: skip


def test_a_row_of_a_file_belongs_to_its_epoch(tmp_path):
    zoo(tmp_path, "a/epoch_1.pt", "a/epoch_2.pt")
    (tmp_path / "properties.csv").write_text("file,loss\na/epoch_1.pt,1\na/epoch_2,2\n")
    assert properties(tmp_path) == {("a", 1): {"loss": 1.0}, ("a", 2): {"loss": 2.0}}


def test_a_model_may_be_called_by_the_last_part_of_its_path(tmp_path):
    zoo(tmp_path, "x/a.pt", "y/b.pt", "z/b.pt")
    (tmp_path / "properties.csv").write_text("name,loss\na,1\nb,2\nz/b,3\nc,4\n")
    assert properties(tmp_path) == {
        ("x/a", 0): {"loss": 1.0},
        ("y/b", 0): {},
        ("z/b", 0): {"loss": 3.0},
    }
    table = tmp_path / "properties.csv"
    assert reported(tmp_path) == [
        Skipped(f"{table}, row 2", "its name 'b' fits several models"),
        Skipped(f"{table}, row 4", "its name 'c' fits no model"),
    ]


def test_percentages_become_shares_and_the_gap_follows(tmp_path):
    zoo(tmp_path, "a.pt", "b.pt")
    (tmp_path / "properties.csv").write_text("model,train_acc,test_acc\na,80,60\nb,0.5,0.5\n")
    found = properties(tmp_path)
    assert found["a", 0] == pytest.approx({"train_acc": 0.8, "test_acc": 0.6, "ggap": 0.2})
    assert found["b", 0]["test_acc"] == 0.005  # the table as a whole is in percent


def test_cells_are_numbers_words_or_nothing(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text('model,a,b,c,d\nx,1e-3,nan,,"relu, no bias"\n0010,1,1,1,1\n')
    first, second = read_table(table)
    assert (first.properties["a"], first.properties["d"]) == (0.001, "relu, no bias")
    assert math.isnan(first.properties["b"])
    assert "c" not in first.properties
    assert second.name == "0010"


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("t.csv", "lr\n0.1\n", "row 1: it names no model in a column model, file, path, name"),
        ("t.csv", "model,lr\na\n", "row 1 has not as many cells"),
        ("t.csv", "model,lr\na,1,2\n", "row 1 has not as many cells"),
        ("t.csv", "model,epoch\na,late\n", "epoch 'late' is not a whole number"),
        ("t.json", "[{", "not a table of properties"),
        ("t.json", "3", "neither a list of rows"),
        ("t.jsonl", "[1]", "is no row"),
        ("t.txt", "", "ends with .csv, .json or .jsonl"),
    ],
)
def test_what_is_no_table_is_refused_in_a_sentence(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=match) as error:
        read_table(tmp_path / name)
    assert name in str(error.value)


def test_a_missing_table_and_two_tables_are_named(tmp_path):
    zoo(tmp_path, "a.pt")
    with pytest.raises(FileNotFoundError, match="no such table"):
        read_plain(tmp_path, properties=tmp_path / "none.csv")
    for name in ("properties.csv", "properties.json"):
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match=r"properties.csv and properties.json; keep one"):
        read_plain(tmp_path)


def test_a_table_that_is_added_or_mended_changes_the_stamps_of_its_models_alone(tmp_path):
    def stamps():
        return {m.model: m.stamp for m in read_plain(tmp_path)}

    zoo(tmp_path, "a.pt", "b.pt")
    without = stamps()
    (tmp_path / "properties.csv").write_text("model,lr\na,0.1\n")
    added = stamps()
    (tmp_path / "properties.csv").write_text("model,lr\na,0.2\n")
    assert len({without["a"], added["a"], stamps()["a"]}) == 3
    assert without["b"] == added["b"] == stamps()["b"]
