"""No file of a zoo can do harm, or end the reading of the others."""

import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.zoos import read_trials
from mzsane.zoos.reading.trials import write_checkpoint


def write_trial(zoo, name="trial_a", epochs=(1, 2), description="params.json"):
    """A trial whose weights tell their epoch."""
    trial = zoo / name
    trial.mkdir(parents=True)
    (trial / description).write_text(json.dumps({"optim::lr": 0.1}))
    for epoch in epochs:
        write_checkpoint(trial, epoch, {"layer.weight": torch.full((3, 2), float(epoch))})
    return trial


class Malice:
    """Runs when it is unpickled without protection."""

    def __reduce__(self):
        return os.system, ("touch executed",)


def test_code_in_a_checkpoint_is_refused_and_not_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trial = write_trial(tmp_path / "zoo")
    torch.save({"layer.weight": Malice()}, trial / "checkpoint_000001" / "checkpoints")
    refused, healthy = read_trials("zoo")
    with pytest.raises(ValueError, match="system") as caught:
        refused.load()
    assert not Path("executed").exists()
    assert "weights_only" not in str(caught.value), "advice to load it without protection"
    assert healthy.load().keys() == {"layer.weight"}


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_damaged_checkpoint_never_ends_the_reading(tmp_path_factory, data):
    """Cut off anywhere, or with a byte changed, it is refused, or read if the damage is slight."""
    zoo = tmp_path_factory.mktemp("zoo")
    path = write_trial(zoo) / "checkpoint_000001" / "checkpoints"
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    cut_off = data.draw(st.booleans())
    if cut_off:
        del content[place:]
    else:
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    damaged, healthy = read_trials(zoo)
    reason = ""
    try:
        damaged.load()
    except (ValueError, OSError) as error:
        reason = str(error)
    assert "\n" not in reason
    assert reason or not cut_off
    assert healthy.load().keys() == {"layer.weight"}


@pytest.mark.parametrize("description", ["params.json", "config.json"])
def test_members_come_by_trial_and_number_of_the_epoch(tmp_path, description):
    for name in ("trial_c", "trial_a", "trial_b"):
        write_trial(tmp_path, name, (10, 2, 1), description)
    found = [
        (r.model, r.epoch, float(r.load()["layer.weight"][0, 0])) for r in read_trials(tmp_path)
    ]
    assert found == [(f"trial_{t}", e, float(e)) for t in "abc" for e in (1, 2, 10)]
