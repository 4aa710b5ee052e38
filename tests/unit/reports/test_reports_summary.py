"""Tables say what the statistics say, in a fixed order, whatever is missing."""

import io
import re

import pytest
from rich.console import Console

from mzsane.evaluation import summarise
from mzsane.reports import latest, markdown_summary, terminal_summary, write_summary

NAN = float("nan")


def cells(text):
    """Cells of every table line, by the first of them."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0]: row[1:] for row in rows}


def test_accuracies_are_percent_with_spread_and_best(make_statistic):
    shown = cells(markdown_summary([make_statistic()], [], {}))
    assert shown["method"] == ["digits", "n", "novelty"]
    assert shown["kde"] == [r"50.0 ± 12.5 \[40.0, 60.0] (75.0)", "3", "0.40"]


def test_image_sets_are_columns_and_what_is_missing_is_a_dash(make_statistic):
    statistics = [
        make_statistic(images="digits"),
        make_statistic(images="printed", n=4),
        make_statistic("average", "baseline", n=1, std=NAN, novelty=NAN),
    ]
    shown = cells(markdown_summary(statistics, [], {}))
    assert shown["method"] == ["digits", "printed", "n", "novelty"]
    assert shown["kde"][2:] == ["3 / 4", "0.40"]
    assert shown["average"] == ["50.0", "\N{EN DASH}", "1", "\N{EN DASH}"]


def test_methods_stand_in_the_order_zoo_baselines_samplers(make_statistic):
    kinds = {"s": "sampler", "x": "oracle", "b": "baseline", "z": "zoo", "t": "sampler"}
    text = markdown_summary([make_statistic(m, k) for m, k in kinds.items()], [], {})
    assert list(cells(text))[2:-1] == [
        *("**models of the zoo**", "z", "**baselines**", "b"),
        *("**samplers**", "s", "t", "**oracle**", "x"),
    ]


def test_every_source_has_a_table_and_every_architecture_if_told_apart(make_statistic):
    by_source = [make_statistic(source="a"), make_statistic(source="b")]
    assert re.findall("^## (.*)", markdown_summary(by_source, [], {}), re.M)[:2] == ["a", "b"]
    by_both = [make_statistic(architecture=name) for name in ("CNN", "MLP")]
    headings = re.findall("^## (.*)", markdown_summary(by_both, [], {}), re.M)
    assert headings[:2] == ["digits, CNN", "digits, MLP"]


def test_training_shows_the_last_value_of_each_metric_and_its_step(make_statistic, metrics):
    shown = cells(markdown_summary([make_statistic()], metrics, {}))
    assert shown["train/loss"] == ["1", "9"]
    assert shown["val/r2/digits"] == ["0.5", "19"]
    assert shown["val/loss"] == ["nan", "19"]
    assert "epoch" not in shown
    assert "training" not in markdown_summary([make_statistic()], [], {}).split("## How")[0]


def test_facts_and_names_survive_markdown(make_statistic):
    text = markdown_summary(
        [make_statistic("a|b*<i>", source="[x]")], [], {"command": "python `x` | tee\nlog", "n": 3}
    )
    shown = cells(text)
    assert shown[r"a\|b\*\<i>"][0].startswith("50.0")
    assert shown["command"] == [r"``python `x` \| tee log``"]
    assert shown["n"] == ["`3`"]
    assert r"## \[x]" in text


def test_what_the_evaluation_summarises_can_be_shown(results, metrics, tmp_path):
    results = [row | {"protocol": "zero_shot"} for row in results]
    statistics = summarise(latest(results))
    write_summary(tmp_path / "run" / "summary.md", statistics, metrics, {"seed": 0})
    text = (tmp_path / "run" / "summary.md").read_text(encoding="utf-8")
    assert text == markdown_summary(statistics, metrics, {"seed": 0})
    assert cells(text)["heldout"] == [r"85.0 ± 7.1 \[80.0, 90.0] (90.0)", "2", "1.00"]
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["summary.md"]


def test_terminal_shows_the_same_cells(make_statistic):
    console = Console(file=io.StringIO(), width=100)
    name = "[red]a_rather_long_name_of_a_sampler"
    console.print(terminal_summary([make_statistic(name), make_statistic("z", "zoo", mean=0.25)]))
    text = console.file.getvalue()
    assert name in text
    assert text.index("models of the zoo") < text.index("25.0 ± 12.5 [40.0, 60.0] (75.0)")
    assert text.index("25.0 ± 12.5 [40.0, 60.0] (75.0)") < text.index(
        "50.0 ± 12.5 [40.0, 60.0] (75.0)"
    )


def test_latest_leaves_out_earlier_evaluations(make_result):
    rows = [make_result(step=100), make_result(step=900, model=1), make_result(step=900, model=2)]
    assert [row["model"] for row in latest(rows)] == [1, 2]


def test_training_without_evaluation_is_summarised(metrics):
    text = markdown_summary([], metrics, {"seed": 0})
    assert "End of training" in text
    assert "How to read" not in text
    assert cells(text)["seed"] == ["`0`"]


@pytest.mark.parametrize("report", [latest, terminal_summary])
def test_no_results_are_refused_in_one_sentence(report):
    with pytest.raises(ValueError, match="none to report; evaluate"):
        report([])


def test_a_run_that_left_neither_results_nor_metrics_has_a_summary_all_the_same(tmp_path):
    write_summary(tmp_path / "summary.md", [], [], {"seed": 0})
    text = (tmp_path / "summary.md").read_text()
    assert "How to read" not in text
    assert "End of training" not in text
    assert cells(text)["seed"] == ["`0`"]
