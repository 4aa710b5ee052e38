"""The results table survives a round trip and an interrupted writer."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzsane.evaluation import TABLES, read_rows, summarise, write_columns, write_rows

ROW = {"source": "10", "method": 'a,"b"', "model": 3, "accuracy": 0.1, "novelty": 1e-17}


def test_values_and_their_types_return(tmp_path):
    rows = [ROW, {**ROW, "model": 4, "accuracy": 1 / 3}]
    write_rows(tmp_path / "new" / "results.csv", rows)
    assert read_rows(tmp_path / "new" / "results.csv") == rows


@given(st.floats(allow_nan=False))
def test_every_float_returns_bit_for_bit(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "floats.csv"
    write_rows(path, [{"accuracy": value}])
    assert read_rows(path) == [{"accuracy": value}]


def test_nan_stays_nan(tmp_path):
    write_rows(tmp_path / "r.csv", [{"loss": float("nan")}])
    assert math.isnan(read_rows(tmp_path / "r.csv")[0]["loss"])


def test_failed_write_leaves_the_old_table_and_nothing_else(tmp_path):
    path = tmp_path / "r.csv"
    write_rows(path, [ROW])
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        write_rows(path, [ROW, {**ROW, "surplus": 1}])
    assert read_rows(path) == [ROW]
    assert [p.name for p in tmp_path.iterdir()] == ["r.csv"]


def test_empty_absent_and_damaged_tables_are_named(tmp_path):
    path = tmp_path / "r.csv"
    with pytest.raises(ValueError, match="no results to write"):
        write_rows(path, [])
    with pytest.raises(FileNotFoundError, match=r"r\.csv: no results table"):
        read_rows(path)
    path.write_text("model,accuracy\n1,0.5\n2,half\n")
    with pytest.raises(ValueError, match="line 3"):
        read_rows(path)


def test_a_column_has_one_type_in_all_tables():
    kinds = [(name, column.kind) for table in TABLES.values() for name, column in table.items()]
    assert len(dict(kinds)) == len(set(kinds))


def test_numbers_have_units_and_the_page_tells_them(tmp_path):
    write_columns(tmp_path / "columns.md")
    text = (tmp_path / "columns.md").read_text()
    unnumbered = {"model", "seed"}
    for table, columns in TABLES.items():
        section = text.split(f"## {table}.csv")[1].split("\n## ")[0]
        for name, column in columns.items():
            assert f"| {name} | {column.meaning} | {column.unit or 'a name'} |" in section
            assert bool(column.unit) is (column.kind is not str and name not in unnumbered), name


def test_statistics_have_the_columns_that_are_described():
    row = {name: column.kind(0) for name, column in TABLES["results"].items()}
    assert list(summarise([row])[0]) == list(TABLES["statistics"])
