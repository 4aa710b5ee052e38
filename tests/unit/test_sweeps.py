"""Folders of sweeps are read as they are, with jobs that failed, and those that never were."""

import pytest
from omegaconf import OmegaConf

from mzsane.evaluation import write_rows
from mzsane.report import again, report, report_sweep
from mzsane.runs import CONFIG, DONE, claim, jobs_asked, swept
from mzsane.sweeps import is_sweep, read_sweep


def row(accuracy, step=10):
    return {
        "source": "digits", "architecture": "cnn", "method": "kde", "kind": "sampler",
        "images": "digits", "model": 0, "accuracy": accuracy, "novelty": 0.5, "step": step,
    }  # fmt: skip


def made(sweep, name, *overrides, r2=None, accuracy=None, done=True):
    """A job's folder, as the command leaves it."""
    folder = sweep / name
    (folder / ".hydra").mkdir(parents=True)
    OmegaConf.save(OmegaConf.create(list(overrides)), folder / ".hydra" / "overrides.yaml")
    (folder / CONFIG).write_text("seed: 0\n")
    if r2 is not None:
        (folder / "metrics.csv").write_text(f"epoch,step,val/r2/digits\n0,9,{r2}\n")
    if accuracy is not None:
        write_rows(folder / "results.csv", [row(0.1, step=5), row(accuracy)])
    if done:
        (folder / DONE).touch()
    return folder


@pytest.fixture
def sweep(tmp_path):
    """Six jobs asked for: two whole, one without results, one failed, one refused, one missing."""
    common = "model=sane_tiny"
    made(tmp_path, "0", "seed=0", "zoo=a", common, r2=0.5, accuracy=0.75)
    made(tmp_path, "1", "seed=0", "zoo=b", common, r2=0.25)
    made(tmp_path, "2", "seed=1", "zoo=a", common, r2=0.7, accuracy=0.25)
    made(tmp_path, "3", "seed=1", "zoo=b", common, r2=0.1, done=False)
    (made(tmp_path, "4", "seed=2", "zoo=a", common, done=False) / CONFIG).unlink()
    task = {"task": ["seed=0,1,2", "zoo=a,b", common]}
    written = {"hydra": {"sweeper": {"params": None}, "overrides": task}}
    OmegaConf.save(OmegaConf.create(written), tmp_path / "multirun.yaml")
    return tmp_path


def test_jobs_say_what_they_differ_in(sweep):
    jobs, _ = read_sweep(sweep)
    assert [job.name for job in jobs] == ["0", "1", "2"]
    assert jobs[1].settings == {"seed": "0", "zoo": "b"}


def test_jobs_measure_what_was_evaluated_last(sweep):
    jobs, _ = read_sweep(sweep)
    values = [{(m.quantity, m.method): m.value for m in job.measured} for job in jobs]
    assert values[0] == {("val/r2", ""): 0.5, ("accuracy", "kde"): 75.0, ("novelty", "kde"): 0.5}
    assert values[1] == {("val/r2", ""): 0.25}


def test_every_job_that_was_asked_for_is_accounted_for(sweep):
    assert read_sweep(sweep).left_out == {
        "3": "seed=1, zoo=b: interrupted or failed",
        "4": "seed=2, zoo=a: refused before it began",
        "5": "never started",
    }


def test_jobs_with_names_of_their_own_are_counted(sweep):
    (sweep / "0").rename(sweep / "first")
    assert read_sweep(sweep).left_out["1 others"] == "never started"


def test_a_job_that_is_being_written_is_running(sweep):
    with claim(sweep / "3"):
        assert read_sweep(sweep).left_out["3"] == "seed=1, zoo=b: still running"


def test_a_damaged_table_costs_one_job(sweep):
    (sweep / "0" / "metrics.csv").write_text("epoch,step\n0,x\n")
    jobs, left_out = read_sweep(sweep)
    assert [job.name for job in jobs] == ["1", "2"]
    assert "metrics.csv, line 2" in left_out["0"]


def test_a_job_without_numbers_is_named(sweep):
    made(sweep, "5", "seed=2", "zoo=b", "model=sane_tiny")
    assert read_sweep(sweep).left_out["5"] == "seed=2, zoo=b: finished, but measured nothing"


def test_jobs_are_in_the_order_of_their_numbers(tmp_path):
    for name in ("10", "2", "extra"):
        made(tmp_path, name, f"seed={name}", r2=0.5)
    assert [job.name for job in read_sweep(tmp_path).jobs] == ["2", "10", "extra"]


def test_the_last_of_repeated_overrides_counts(tmp_path):
    made(tmp_path, "0", "seed=0", "+a.b=1", "seed=5", r2=0.5)
    made(tmp_path, "1", "seed=0", "+a.b=2", "seed=6", r2=0.5)
    assert read_sweep(tmp_path).jobs[0].settings == {"seed": "5", "a.b": "1"}


def test_how_many_jobs_were_asked_for(tmp_path):
    def written(params, *task):
        hydra = {"sweeper": {"params": params}, "overrides": {"task": list(task)}}
        OmegaConf.save(OmegaConf.create({"hydra": hydra}), tmp_path / "multirun.yaml")
        return jobs_asked(tmp_path)

    assert jobs_asked(tmp_path) == 0
    assert written({"seed": "range(3)"}, "zoo=a,[a,b]", "model=sane_tiny") == 6
    assert swept(tmp_path) == ["seed=range(3)", "zoo=a,[a,b]", "model=sane_tiny"]
    assert written(None, "x=interval(0,1)") == 0  # as many as the sweeper wants


def test_the_command_writes_tables_into_the_sweep(sweep, capsys):
    again(sweep)
    assert "3 jobs compared, 3 left out" in capsys.readouterr().out
    text = (sweep / "summary.md").read_text()
    assert "3 of 6 jobs have finished" in text
    assert "| a | 0.600 ± 0.141 | 2 |" in text
    assert "seed=0,1,2 zoo=a,b model=sane_tiny" in text
    assert (sweep / "sweep.csv").exists()
    assert (sweep / "sweep.png").exists()


def test_settings_are_compared_with_one_of_them(sweep):
    report_sweep(sweep, ["a"])
    assert "| b | -0.250 | 1 |" in (sweep / "summary.md").read_text()


def test_a_finished_run_is_drawn_again_and_keeps_its_origin(tmp_path):
    logs = tmp_path / "logs" / "csv" / "version_0"
    logs.mkdir(parents=True)
    (logs / "metrics.csv").write_text("epoch,step,train/loss\n0,9,0.5\n")
    report(tmp_path, {"seed": 7, "minutes": "4.2"})
    before = (tmp_path / DONE).read_text()
    (tmp_path / "loss.png").unlink()
    again(tmp_path)
    assert (tmp_path / DONE).read_text() == before
    assert "4.2" in before
    assert (tmp_path / "loss.png").exists()


def test_an_unfinished_run_is_not_declared_finished(tmp_path):
    folder = made(tmp_path, "run", r2=0.5, done=False)
    with pytest.raises(ValueError, match="unfinished; its own command goes on with it"):
        again(folder)
    assert not (folder / DONE).exists()


def test_other_folders_are_refused(tmp_path):
    assert not is_sweep(tmp_path)
    with pytest.raises(FileNotFoundError, match="no run and no sweep"):
        again(tmp_path)
    with pytest.raises(ValueError, match="compares the jobs of a sweep"):
        again(made(tmp_path, "run"), against=["a"])
