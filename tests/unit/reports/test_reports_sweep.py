"""Sweeps are compared seed by seed; what is missing is missed."""

import csv
import math

import pytest

from mzsane.reports import (
    Job,
    of_frontiers,
    of_metrics,
    of_results,
    write_measurements,
    write_sweep,
)
from mzsane.reports.comparing import cell, compare, differences
from mzsane.reports.measurements import Measurement
from mzsane.reports.sweep import draw_sweep, markdown_sweep


def r2(source, value, part=""):
    return Measurement(source, "", part, "", "", "", "", "val/r2", 0, value)


def accuracy(method, value, source="a", images="digits", kind="sampler", protocol=""):
    return Measurement(source, "CNN", "", method, kind, protocol, images, "accuracy", 30, value)


def novelty(method, value, kind="sampler"):
    return Measurement("a", "CNN", "", method, kind, "", "digits", "novelty", 30, value)


def job(loss, seed, *measured, name="0"):
    return Job(name, {"seed": str(seed), "loss": loss}, measured)


@pytest.fixture
def jobs():
    """Two losses; the second has lost one seed, and one of its sources once."""
    return [
        job("token", 0, r2("a", 0.5), r2("b", 0.7), accuracy("kde", 80.0)),
        job("token", 1, r2("a", 0.7), r2("b", 0.9), accuracy("kde", 90.0)),
        job("token", 2, r2("a", 0.6), r2("b", 0.8), accuracy("kde", 85.0)),
        job("none", 0, r2("a", 0.6), r2("b", 0.6), accuracy("kde", 81.0)),
        job("none", 1, r2("a", 0.9), accuracy("kde", 93.0)),
    ]


def test_cells_hold_the_values_of_all_seeds(jobs):
    found, _ = compare(jobs)
    assert found.columns == ("a", "b", "mean")
    assert found.rows["token",]["a"] == {"0": 0.5, "1": 0.7, "2": 0.6}
    assert cell(found.rows["token",]["a"].values(), 3) == "0.600 ± 0.100"


def test_the_mean_is_that_of_seeds_with_every_column(jobs):
    found, _ = compare(jobs)
    assert found.rows["token",]["mean"] == pytest.approx({"0": 0.6, "1": 0.8, "2": 0.7})
    assert found.rows["none",]["mean"] == pytest.approx({"0": 0.6})


def test_a_setting_without_one_of_the_sources_has_no_mean():
    jobs = [job("both", 0, r2("a", 0.5), r2("b", 0.5)), job("one", 0, r2("a", 0.9))]
    assert compare(jobs)[0].rows["one",]["mean"] == {}
    dash = "\N{EN DASH}"
    assert f"| one | 0.900 | {dash} | {dash} | 1 / 0 |" in markdown_sweep(jobs, {}, {})


def test_differences_are_paired_by_seed(jobs):
    found = differences(compare(jobs)[1], ("token",))
    assert list(found.rows) == [("none",)]
    assert found.rows["none",]["a"] == {"0": 1.0, "1": 3.0}
    assert cell(found.rows["none",]["a"].values(), 1, "+") == "+2.0 ± 1.4"


def test_differences_from_an_absent_setting_name_those_there_are(jobs):
    with pytest.raises(ValueError, match="layer: no finished job has this setting, but token"):
        differences(compare(jobs)[0], ("layer",))


def test_one_seed_has_no_spread_and_none_is_a_dash():
    assert cell([0.5], 2) == "0.50"
    assert cell([], 2) == "\N{EN DASH}"


def test_novelty_is_shown_of_samplers_only():
    measured = [novelty("kde", 0.4), novelty("average", 0.6, "baseline"), accuracy("kde", 50.0)]
    assert [c.title for c in compare([job("x", 0, *measured)])] == [
        "accuracy of kde, %", "novelty of kde"
    ]  # fmt: skip


def test_frontiers_are_compared_over_seeds():
    def line(value, family="kde", kind="sampler"):
        return {
            **{"source": "a", "architecture": "CNN", "protocol": "zero_shot", "images": "digits"},
            **{"family": family, "kind": kind, "equal_n": 10, "equal": value},
        }

    rows = ([line(value), line(0.5, "anchors", "zoo"), line(math.nan, "broken")] for value in
            (0.3, 0.4))  # fmt: skip
    jobs = [job("x", seed, *of_frontiers(some)) for seed, some in enumerate(rows)]
    (found,) = compare(jobs)
    assert (found.title, jobs[0].measured[0].n) == ("frontier of kde, zero_shot", 10)
    assert "| x | 0.350 ± 0.071 | 2 |" in markdown_sweep(jobs, {}, {})


def test_what_the_autoencoder_made_is_read_first():
    measured = [
        accuracy("anchors", 1.0, kind="zoo"),
        accuracy("average", 2.0, kind="baseline"),
        accuracy("heldout_reconstructed", 3.0, kind="reconstruction"),
        accuracy("kde", 4.0),
        r2("a", 0.5),
    ]
    methods = [c.method for c in compare([job("x", 0, *measured)])]
    assert methods == ["", "heldout_reconstructed", "kde", "average", "anchors"]


def test_columns_name_image_sets_only_where_there_are_several():
    measured = [
        accuracy("kde", 1.0, "a", "digits"), accuracy("kde", 2.0, "a", "printed"),
        accuracy("kde", 3.0, "b", "shapes"),
    ]  # fmt: skip
    (found,) = compare([job("x", 0, *measured)])
    assert found.columns == ("a on digits", "a on printed", "b", "mean")


def test_last_values_of_validation_are_measured_per_source_and_part(metrics):
    metrics = [*metrics, {"step": 29, "val/r2/digits": 0.75, "val/r2/digits/linear": 0.25}]
    found = {(one.quantity, one.source, one.part): one.value for one in of_metrics(metrics)}
    assert found["val/r2", "digits", ""] == 0.75
    assert found["val/r2", "digits", "linear"] == 0.25
    assert found["val/contrastive", "", ""] == 3.5
    assert math.isnan(found["val/loss", "", ""])
    assert not any(quantity.startswith("train") for quantity, _, _ in found)


def test_parts_of_models_are_kept_out_of_the_comparison():
    (found,) = compare([job("x", 0, r2("a", 0.5), r2("a", 0.1, part="linear"))])
    assert found.rows["x",]["a"] == {"0": 0.5}


def test_accuracies_are_percent_and_what_nobody_measured_is_left_out(make_result):
    rows = [
        make_result(accuracy=0.25, novelty=0.25),
        make_result(accuracy=0.75, novelty=0.75),
        make_result(accuracy=math.nan, novelty=math.nan),
        make_result("average", accuracy=0.5, novelty=math.nan),
    ]
    found = [(one.method, one.quantity, one.value, one.n) for one in of_results(rows)]
    assert found == [
        ("kde", "accuracy", 50.0, 2), ("kde", "novelty", 0.5, 2), ("average", "accuracy", 50.0, 1)
    ]  # fmt: skip


def test_protocols_are_kept_apart_and_may_be_missing(make_result):
    rows = [
        make_result(accuracy=0.5),
        make_result(accuracy=0.6, protocol="finetuned", epochs=1.0),
        make_result(accuracy=0.7, protocol="finetuned", epochs=5.0),
        make_result(accuracy=0.8, protocol="ensembles", members=5),
    ]
    found = [one for one in of_results(rows) if one.quantity == "accuracy"]
    assert {one.protocol: one.value for one in found} == pytest.approx(
        {"": 50, "finetuned, 1 epochs": 60, "finetuned, 5 epochs": 70, "ensembles, 5 members": 80}
    )
    titles = [one.title for one in compare([job("x", 0, *found)])]
    assert titles[2] == "accuracy of kde, finetuned, 5 epochs, %"


def test_the_table_has_a_row_per_job_and_measurement_with_its_unit(jobs, tmp_path):
    write_measurements(tmp_path / "sweep.csv", jobs)
    with (tmp_path / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(one.measured) for one in jobs)
    assert rows[2] == {
        "job": "0", "seed": "0", "loss": "token", "source": "a", "architecture": "CNN", "part": "",
        "method": "kde", "kind": "sampler", "protocol": "", "images": "digits",
        "quantity": "accuracy", "n": "30", "unit": "%", "value": "80.0",
    }  # fmt: skip


def test_the_summary_names_who_is_missing_and_draws(jobs, tmp_path):
    write_sweep(tmp_path, jobs, {"5": "seed=2, loss=none: interrupted or failed"}, {"date": "now"})
    text = (tmp_path / "summary.md").read_text()
    assert "5 of 6 jobs have finished" in text
    assert "- job 5: seed=2, loss=none: interrupted or failed" in text
    assert "| none | 0.750 ± 0.212 | 0.600 | 0.600 | 2 / 1 |" in text
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_differences_stand_below_their_table(jobs):
    text = markdown_sweep(jobs, {}, {}, ("token",))
    assert "| none | +2.0 ± 1.4 | 2 |" in text
    assert "all" not in markdown_sweep(jobs, {}, {}).split("## How")[0].split("have finished")[1]


def test_nothing_finished_says_what_there_is(tmp_path):
    with pytest.raises(ValueError, match="no job has finished \\(3: still running\\)"):
        write_sweep(tmp_path, [], {"3": "still running"}, {})
    assert not list(tmp_path.iterdir())


def test_a_sweep_over_seeds_alone_has_one_row():
    jobs = [Job(str(n), {"seed": str(n)}, [r2("a", n / 4)]) for n in range(3)]
    assert "| all | 0.250 ± 0.250 | 3 |" in markdown_sweep(jobs, {}, {})


def test_a_sweep_without_quantities_to_compare_is_drawn_nowhere(tmp_path):
    draw_sweep([], tmp_path / "sweep.png")
    assert not list(tmp_path.iterdir())
