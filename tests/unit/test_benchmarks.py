"""Benchmarks list, repeat and write; what they measure is never asserted."""

import json
import re
import subprocess
import sys
import time
from datetime import datetime

import pytest
import torch
from omegaconf import OmegaConf

from benchmarks import __main__ as command
from benchmarks import selecting, startup, step, steps, waiting
from benchmarks.inputs import CNN3, RESNET18_TOKEN
from benchmarks.registry import BENCHMARKS
from benchmarks.results import Measurement, Settings, table, write
from benchmarks.timing import Spread, alternate, seconds
from mzsane.callbacks.arithmetic import flops_per_token
from mzsane.config import CONF_DIR


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
    assert re.fullmatch(r"[0-9a-f]{12}(-dirty)?", document["commit"])
    assert datetime.fromisoformat(document["date"]).tzinfo
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


TINY = steps.Size(16, 2, 1, 4, 8, 2)


def test_steps_of_ours_and_of_torch_are_taken_in_both_precisions(monkeypatch):
    asked = []
    monkeypatch.setattr(step, "peak_memory", lambda work, *arguments: asked.append(arguments) or 1)
    for precision in ("float32", "bf16-mixed"):
        rate, *memory = step.on_cpu(TINY, precision, 1.0, Settings(repeats=1))
        assert rate.unit == "tokens/s"
        assert rate.mzsane.median > 0
        assert rate.target == 1.0
        assert [row.unit for row in memory] == ["GB", "GB"]
    ways = [(False,), (True,), (False, True)]  # ours, torch's, ours with blocks computed again
    assert asked == [(TINY, p, *way) for p in ("float32", "bf16-mixed") for way in ways]


def test_a_step_uses_the_optimizer_of_the_command():
    optimizer = steps.OneStep(TINY, "float32").optimizer
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["fused"]
    assert optimizer.defaults["lr"] == pytest.approx(0.128 / TINY.d_model)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [1e-2, 0.0]


def test_the_largest_model_is_that_of_its_configuration():
    published = OmegaConf.merge(
        OmegaConf.load(CONF_DIR / "model" / "sane_base.yaml"),
        OmegaConf.load(CONF_DIR / "experiment" / "mz_sane.yaml").model,
    )
    size = steps.SANE_BASE._asdict() | {"max_positions": list(steps.SANE_BASE.max_positions)}
    names = ("d_model", "heads", "layers", "latent", "positions", "max_positions")
    assert {name: size[name] for name in names} == {name: published[name] for name in names}


def test_steps_on_a_gpu_are_taken_in_all_ways_and_their_use_of_it_is_told(monkeypatch):
    compiled = []
    monkeypatch.setattr(step, "peak_flops", lambda device: 1e12)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module: compiled.append(module))
    found = step.on_gpu(Settings(repeats=1), TINY, (1, 2))
    assert [m.name.partition("batch ")[2] for m in found[::2]] == [
        f"{batch}{way}" for batch in (1, 2) for way in step.WAYS
    ]
    assert compiled
    flops = flops_per_token(steps.OneStep(TINY, "float32").system.model, TINY.window)
    for rate, utilisation in zip(found[::2], found[1::2], strict=True):
        assert utilisation.mzsane.median == pytest.approx(100 * flops * rate.mzsane.median / 1e12)
        assert "≥ 50" in table([utilisation])


def test_a_batch_that_does_not_fit_is_left_out_and_said(monkeypatch, capsys):
    inner = steps.batch_of

    def batch_of(size, seed):
        if size.batch > 1:
            raise torch.OutOfMemoryError
        return inner(size, seed)

    monkeypatch.setattr(steps, "batch_of", batch_of)
    found = step.on_gpu(Settings(repeats=1), TINY, (1, 2), {"": {}})
    assert [m.name.endswith("batch 1") for m in found] == [True]
    assert "batch 2: does not fit" in capsys.readouterr().out


def test_waiting_for_windows_is_a_share_of_the_time():
    measured = waiting.measure(TINY, "float32", Settings(repeats=1), CNN3, RESNET18_TOKEN)
    assert 0 < measured.mzsane.median < 100


def test_a_selection_says_how_many_candidates_it_ran_and_measures_memory_of_few_and_all(
    monkeypatch,
):
    asked = []
    monkeypatch.setattr(selecting, "selected", lambda seed, n, after: [after() for _ in range(n)])
    monkeypatch.setattr(selecting, "peak_memory", lambda work, *given: asked.append(given) or 1.0)
    each, *memory = selecting.run(Settings(seed=3, candidates=9))
    assert "9 candidates run" in each.note
    assert each.mzsane.repeats == 8  # the first warms up
    assert asked == [(3, 4), (3, 9)]
    assert [row.name.rpartition(" ")[2] for row in memory] == ["4", "9"]


def test_leaving_after_the_first_step_is_a_setting_of_the_command():
    arguments = [*startup.FAST, startup.LEAVE, "--cfg", "job"]
    shown = subprocess.run(
        [*startup.COMMAND, *arguments], cwd=startup.ROOT, capture_output=True, text=True
    )
    assert "_target_: benchmarks.startup.Leave" in shown.stdout


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        startup.call([sys.executable, "-c", "raise SystemExit(1)"], str(tmp_path))
