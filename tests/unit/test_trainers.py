"""What a machine cannot do ends in one sentence before anything is built."""

from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from mzsane.trainers import _check_precision, trainer_of


def make(**settings):
    node = {"_target_": "pytorch_lightning.Trainer", "accelerator": "cpu", "devices": 1, **settings}
    return trainer_of(OmegaConf.create(node), logger=False, enable_checkpointing=False)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"precision": "16-mixed"}, "trainer.precision=16-mixed: a CPU has no mixed float16"),
        ({"precision": 16}, "trainer.precision=16: a CPU has no mixed float16"),
        ({"precision": "fp8"}, "trainer: Precision 'fp8' is invalid"),
        ({"precision": "transformer-engine"}, "trainer: .*transformer_engine"),
        ({"accelerator": "gpu"}, "trainer.accelerator=gpu: .* finds no GPU here; .*trainer=cpu"),
        ({"accelerator": "tpu"}, "trainer: .*torch_xla"),
        ({"strategy": "fsdp"}, "trainer: .*requires a GPU"),
        ({"strategy": "dpp"}, "trainer: .*invalid strategy name"),
        ({"devices": 0}, r"trainer: .*devices=0"),
        ({"accumulate_grad_batches": 0}, "trainer.accumulate_grad_batches=0: at least 1"),
        ({"log_every_n_steps": 0}, "trainer.log_every_n_steps=0: at least 1"),
    ],
)
def test_what_cannot_be_done_here_is_a_sentence(monkeypatch, settings, sentence):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=sentence) as caught:
        make(**settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed", "bf16-true"])
def test_what_a_cpu_can_do_is_what_is_asked_for(precision):
    assert make(precision=precision).precision == precision


@pytest.mark.parametrize(
    ("told", "precision", "count"),
    [
        ({"avx512_bf16": False}, "bf16-mixed", 1),
        ({"bf16": False}, "bf16-true", 1),
        ({"avx512_bf16": False}, "32-true", 0),
        ({"avx512_bf16": True}, "bf16-mixed", 0),
        ({}, "bf16-mixed", 0),  # not known
    ],
)
def test_a_cpu_without_bfloat16_is_said_to_be_slow(monkeypatch, recwarn, told, precision, count):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    make(precision=precision)
    slow = [str(w.message) for w in recwarn if "slower than" in str(w.message)]
    assert len(slow) == count


@pytest.mark.parametrize("has_it", [True, False])
def test_a_gpu_that_only_imitates_bfloat16_is_said_to_be_slow(monkeypatch, recwarn, has_it):
    answers = {True: True, False: has_it}  # imitated, every GPU has it
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: answers[including_emulation],
    )
    gpu = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device("cuda", 0)))
    _check_precision("bf16-mixed", gpu)
    _check_precision("16-mixed", gpu)
    told = [str(w.message) for w in recwarn]
    assert len(told) == (not has_it)
    assert all("this GPU has no instructions for bfloat16" in one for one in told)
