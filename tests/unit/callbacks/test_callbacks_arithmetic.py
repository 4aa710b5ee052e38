import pytest
import torch

from mzsane.callbacks.arithmetic import flops_per_token, peak_flops
from mzsane.models import Sane


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H200 NVL", 835),
        ("NVIDIA GH200 480GB", 989),
        ("NVIDIA GB200", 2500),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA L40", 181),
        ("NVIDIA L4", 121),
        ("NVIDIA GeForce RTX 4090", 165),
    ],
)
def test_a_gpu_is_known_by_the_name_that_torch_gives_it(monkeypatch, name, tera):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops(torch.device("cuda")) == tera * 1e12


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA RTX A1000 Laptop GPU",
        "NVIDIA A10G",
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "Tesla T4",
    ],
)
def test_what_only_resembles_a_known_gpu_is_unknown(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops(torch.device("cuda")) is None


def test_no_cpu_has_a_peak():
    assert peak_flops(torch.device("cpu")) is None


def test_operations_of_a_token_are_those_of_the_published_formula():
    d_token, d, layers, latent, window = 6, 8, 3, 4, 5
    model = Sane(d_token, d, 2, layers, latent, window, positions="sinusoidal", projection=7)
    blocks = 2 * layers * 12 * d**2  # of both transformers: 3 + 1 + 4 + 4 matrices of d x d
    outside = 2 * d_token * d + 2 * d * latent
    head = (window * latent * 7 + 7 * 7) / window  # once for a window
    attention = 12 * 2 * layers * d * window
    assert flops_per_token(model, window) == pytest.approx(
        6 * (blocks + outside + head) + attention
    )
