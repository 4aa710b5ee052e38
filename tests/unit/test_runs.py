"""Which folder a command belongs to."""

import pytest
from omegaconf import OmegaConf

from mzsane import runs


def made(parent, name, **values):
    folder = parent / name
    folder.mkdir(parents=True)
    runs.record(folder, OmegaConf.create({**values, "hydra": {"x": 1}}))
    return folder


def test_the_newest_unfinished_run_of_the_same_configuration_goes_on(tmp_path):
    made(tmp_path, "1", seed=0)
    newest = made(tmp_path, "2", seed=0)
    made(tmp_path, "3", seed=1)
    (made(tmp_path, "4", seed=0) / runs.DONE).touch()
    assert runs.unfinished(tmp_path, {"seed": 0}) == newest


def test_another_environment_is_another_configuration(tmp_path, monkeypatch):
    config = OmegaConf.create({"data_dir": "${oc.env:MZSANE_DATA,data}", "seed": 0})
    monkeypatch.delenv("MZSANE_DATA", raising=False)
    runs.record(tmp_path, config)
    assert runs.first_difference(runs.recorded(tmp_path), runs.plain(config)) is None
    monkeypatch.setenv("MZSANE_DATA", "elsewhere")
    difference = runs.first_difference(runs.recorded(tmp_path), runs.plain(config))
    assert difference == "data_dir: data there, elsewhere here"


def test_a_busy_folder_is_left_alone(tmp_path):
    folder = made(tmp_path, "1", seed=0)
    with runs.claim(folder):
        assert runs.unfinished(tmp_path, {"seed": 0}) is None
    assert runs.unfinished(tmp_path, {"seed": 0}) == folder


def test_the_first_difference_is_named():
    old = {"model": {"d_model": 8, "layers": 2}, "seed": 0}
    new = {"model": {"d_model": 8, "layers": 3}, "seed": 0}
    assert runs.first_difference(old, new) == "model.layers: 2 there, 3 here"
    assert runs.first_difference(old, old) is None
    assert runs.first_difference(None, new) is None


def test_another_configuration_is_refused(tmp_path):
    folder = made(tmp_path, "1", seed=0)
    config = OmegaConf.create(
        {
            "seed": 1,
            "hydra": {
                "run": {"dir": str(folder)},
                "overrides": {"hydra": [f"hydra.run.dir={folder}"]},
            },
        }
    )
    with pytest.raises(
        SystemExit, match="holds a run of another configuration \\(seed: 0 there, 1"
    ):
        runs.RunFolder().on_run_start(config)


def test_a_folder_is_written_by_one_process(tmp_path):
    folder = made(tmp_path, "1", seed=0)
    with (
        runs.claim(folder),
        pytest.raises(ValueError, match="another process is writing this run"),
        runs.claim(folder),
    ):
        pass


@pytest.mark.parametrize("name", ["RANK", "LOCAL_RANK", "SLURM_PROCID"])
def test_the_first_process_leads(monkeypatch, name):
    assert runs.leads()
    monkeypatch.setenv(name, "0")
    assert runs.leads()
    monkeypatch.setenv(name, "1")
    assert not runs.leads()


def started(parent, **values):
    """The folder that a process chooses which was given none."""
    hydra = {"run": {"dir": str(parent / "now")}, "overrides": {"hydra": []}}
    config = OmegaConf.create({"seed": 0, **values, "hydra": hydra})
    runs.RunFolder().on_run_start(config)
    return config.hydra.run.dir


def test_processes_of_a_job_of_slurm_have_one_folder_and_find_it_again(tmp_path, monkeypatch):
    job = {"SLURM_JOB_ID": "42", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2"}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    for rank in "01":
        monkeypatch.setenv("SLURM_PROCID", rank)
        assert started(tmp_path) == str(tmp_path / "slurm-42.0")
    made(tmp_path, "slurm-42.0", seed=0)
    assert started(tmp_path) == str(tmp_path / "slurm-42.0")
    with pytest.raises(SystemExit, match="another configuration"):
        started(tmp_path, seed=1)


def test_processes_without_a_common_name_need_a_folder(tmp_path, monkeypatch):
    assert started(tmp_path) == str(tmp_path / "now")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit, match=r"give hydra\.run\.dir"):
        started(tmp_path)
