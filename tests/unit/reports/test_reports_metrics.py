"""The metrics of an interrupted run are those of an uninterrupted one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mzsane.reports import merge_metrics, read_metrics
from mzsane.reports.metrics import quantities, series


def write_version(folder, version, text):
    path = folder / f"version_{version}" / "metrics.csv"
    path.parent.mkdir(parents=True)
    path.write_text(text)


def table(steps, value):
    return "epoch,step,train/loss\n" + "".join(f"0,{step},{value}\n" for step in steps)


def merged(folder):
    merge_metrics(folder, folder / "metrics.csv")
    return read_metrics(folder / "metrics.csv")


def test_a_later_version_replaces_earlier_rows_from_its_first_step_on(tmp_path):
    write_version(tmp_path, 0, table([9, 19, 29, 39], 0.0))
    write_version(tmp_path, 1, table([29, 49], 1.0))
    steps, values = series(merged(tmp_path), "train/loss")
    assert steps == [9, 19, 29, 49]
    assert values == [0.0, 0.0, 1.0, 1.0]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)), min_size=1, max_size=4))
def test_every_step_has_the_value_of_the_last_version_that_reached_it(tmp_path_factory, spans):
    folder = tmp_path_factory.mktemp("run")
    expected: dict[int, int] = {}
    for version, (first, length) in enumerate(spans):
        write_version(folder, version, table(range(first, first + length), version))
        expected = {step: v for step, v in expected.items() if step < first}
        expected |= dict.fromkeys(range(first, first + length), version)
    steps, values = series(merged(folder), "train/loss")
    assert dict(zip(steps, values, strict=True)) == expected
    assert steps == sorted(expected)


def test_versions_are_ordered_by_number(tmp_path):
    for version in (2, 10, 9):
        write_version(tmp_path, version, table([5], version))
    assert series(merged(tmp_path), "train/loss") == ([5], [10])


def test_columns_of_all_versions_are_kept_and_empty_cells_left_out(tmp_path):
    write_version(tmp_path, 0, "epoch,step,train/loss,val/loss\n0,4,0.5,\n0,4,,0.7\n")
    write_version(tmp_path, 1, "epoch,lr,step\n1,0.1,5\n")
    assert merged(tmp_path) == [
        {"epoch": 0, "step": 4, "train/loss": 0.5},
        {"epoch": 0, "step": 4, "val/loss": 0.7},
        {"epoch": 1, "step": 5, "lr": 0.1},
    ]
    assert quantities(merged(tmp_path)) == ["lr", "train/loss", "val/loss"]


def test_values_are_copied_as_text(tmp_path):
    write_version(tmp_path, 0, table([0], "0.3000000119209290"))
    merge_metrics(tmp_path, tmp_path / "metrics.csv")
    assert "0.3000000119209290" in (tmp_path / "metrics.csv").read_text()


def test_merging_again_gives_the_same_file_and_nothing_else(tmp_path):
    write_version(tmp_path / "logs", 0, table([0, 1], 0.5))
    target = tmp_path / "new" / "metrics.csv"
    merge_metrics(tmp_path / "logs", target)
    first = target.read_bytes()
    merge_metrics(tmp_path / "logs", target)
    assert target.read_bytes() == first
    assert list(target.parent.iterdir()) == [target]


def test_a_line_cut_by_a_kill_and_a_version_without_rows_are_no_rows(tmp_path):
    write_version(tmp_path, 0, table([0, 1], 0.5) + "0,2,0.0")
    write_version(tmp_path, 1, "epoch,step\n")
    (tmp_path / "version_2").mkdir()
    assert series(merged(tmp_path), "train/loss") == ([0, 1], [0.5, 0.5])


def test_lightnings_own_logger_can_be_merged(tmp_path):
    from pytorch_lightning.loggers import CSVLogger

    for first in (0, 2):
        logger = CSVLogger(tmp_path, name="csv")
        for step in range(first, first + 3):
            logger.log_metrics({"train/loss": float(first), "epoch": 0}, step)
            logger.log_metrics({"val/loss": 1.0, "epoch": 0}, step)
        logger.save()
    rows = merged(tmp_path / "csv")
    assert series(rows, "train/loss") == ([0, 1, 2, 3, 4], [0, 0, 2, 2, 2])
    assert series(rows, "val/loss") == ([0, 1, 2, 3, 4], [1] * 5)


def test_absent_and_damaged_tables_are_named_and_leave_the_target_alone(tmp_path):
    with pytest.raises(FileNotFoundError, match="CSV logger"):
        merge_metrics(tmp_path, tmp_path / "metrics.csv")
    with pytest.raises(FileNotFoundError, match="no table of metrics"):
        read_metrics(tmp_path / "metrics.csv")
    (tmp_path / "metrics.csv").write_text("epoch,step,train/loss\n0,1,half\n")
    with pytest.raises(ValueError, match=r"metrics\.csv.*half"):
        read_metrics(tmp_path / "metrics.csv")
    for number, line in enumerate(["0,1,2,3\n", "0,,0.5\n", "0\n"]):
        write_version(tmp_path / f"{number}", 0, table([0], 0.5) + line)
        with pytest.raises(ValueError, match="line 3"):
            merge_metrics(tmp_path / f"{number}", tmp_path / "metrics.csv")
    assert "half" in (tmp_path / "metrics.csv").read_text()
