"""Benchmarks list, repeat and write; what they measure is never asserted."""

import json
import time

import pytest

from benchmarks import __main__ as command
from benchmarks.registry import BENCHMARKS
from benchmarks.results import Measurement, Settings, table, write
from benchmarks.timing import Spread, alternate, seconds


def fake(settings):
    own, plain = Spread.of([2.0, 1.0, 6.0]), Spread.of([4.0])
    return [
        Measurement("sleep", "ms", own, plain, 3.0, "by hand"),
        Measurement("sheep", "sheep/s", own, plain),
        Measurement("alone", "GB", own),
    ]


def test_the_registry_lists_every_benchmark_with_a_sentence(capsys):
    command.main(["--list"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(BENCHMARKS)
    assert all(line.endswith(".") for line in lines)


def test_a_median_is_the_middle_of_the_repeats():
    assert Spread.of([5.0, 1.0, 3.0]) == (3.0, 1.0, 5.0, 3)
    assert Spread.of([4.0, 1.0, 2.0, 3.0]).median == 2.5


def test_the_slowest_repeat_is_the_smallest_rate():
    assert Spread.of([2.0, 1.0, 4.0]).rate(8) == (4.0, 2.0, 8.0, 3)
    assert Spread.of([2.0, 1.0, 4.0]).times(1e3) == (2000.0, 1000.0, 4000.0, 3)


def test_pairs_are_run_in_turn_after_a_warm_up():
    calls = []
    spreads = alternate(lambda: calls.append("a"), lambda: calls.append("b"), 2)
    assert calls == ["a", "b"] * 3
    assert [spread.repeats for spread in spreads] == [2, 2]


def test_time_is_measured_in_seconds():
    assert seconds(lambda: time.sleep(0.01), 1, warmup=0).median >= 0.01


def test_ratios_say_how_many_times_better():
    slower, faster, alone = fake(Settings())
    assert (slower.ratio, faster.ratio, alone.ratio) == (2.0, 0.5, None)


def test_a_benchmark_writes_its_measurements_and_its_machine(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(BENCHMARKS, "fake", fake)
    command.main(["fake", "--seed", "3", "--folder", str(tmp_path)])
    document = json.loads((tmp_path / "fake.json").read_text())
    assert (document["benchmark"], document["settings"]["seed"]) == ("fake", 3)
    assert {"cpu", "cores", "threads", "load", "torch"} <= document["machine"].keys()
    first, _, alone = document["measurements"]
    assert first["mzsane"] == {"median": 2.0, "min": 1.0, "max": 6.0, "repeats": 3}
    assert (first["ratio"], first["unit"], first["target"]) == (2.0, "ms", 3.0)
    assert (alone["plain"], alone["ratio"]) == (None, None)
    assert "sleep" in capsys.readouterr().out


def test_writing_again_replaces_the_file(tmp_path):
    for count in (3, 1):
        path = write("fake", fake(Settings())[:count], Settings(), tmp_path)
    assert len(json.loads(path.read_text())["measurements"]) == 1


def test_the_table_says_in_which_direction_the_target_lies():
    own = Spread.of([1.0])
    rows = [Measurement("a", "s", own, None, 2.0), Measurement("b", "x/s", own, None, 2.0)]
    _, first, second = table(rows).splitlines()
    assert "≤ 2" in first
    assert "≥ 2" in second


def test_an_unknown_benchmark_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["nothing"])
    assert "choose from tokens" in capsys.readouterr().err
