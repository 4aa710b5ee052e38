"""`python -m mzsane.download` in a process of its own, against a server of this machine."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile

import pytest
import torch

from mzsane.architectures import Architecture
from mzsane.stores import TokenStore

CNN = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
MNIST = (
    "files/weight_space_learning/model_zoos/core-modelzoo/cnn-small_mnist/tune_zoo_mnist_uniform"
)
SAMPLE = "records/13144018/files/cifar10_cnn_sample_ep21-25.zip"


def trial(seed):
    """Files of a trial with two checkpoints, as published."""
    name = f"NN_tune_trainable_{seed:05d}_seed={seed}_2021-05-01"
    lines = [{"training_iteration": epoch, "test_acc": 0.5 + epoch / 100} for epoch in (21, 25)]
    files = {
        f"{name}/params.json": json.dumps({"seed": seed, "model::type": "CNN"}).encode(),
        f"{name}/result.json": "\n".join(map(json.dumps, lines)).encode(),
    }
    for epoch in (21, 25):
        buffer = io.BytesIO()
        torch.save(CNN.build(seed).state_dict(), buffer)
        files[f"{name}/checkpoint_{epoch:06d}/checkpoints"] = buffer.getvalue()
    return files


@pytest.fixture
def published(server):
    """Two zoos under their published addresses."""
    for seed in (1, 2, 3):
        server.files |= {f"{MNIST}/{name}": body for name, body in trial(seed).items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, body in trial(4).items():
            archive.writestr(f"zoo/{name}", body)
        archive.writestr("padding", os.urandom(2_000_000))
    server.files[SAMPLE] = buffer.getvalue()
    return server


@pytest.fixture
def command(published, tmp_path):
    """Starts a command of mzsane with the server as mirror."""

    def start(name, *overrides):
        arguments = [sys.executable, "-m", f"mzsane.{name}", f"zoo.mirror={published.url}"]
        return subprocess.Popen(
            [*arguments, *overrides], cwd=tmp_path, text=True,
            env={**os.environ, "MZSANE_DATA": str(tmp_path / "data"), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def ended(process, code=0):
    out, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return out if code == 0 else err.strip().splitlines()[-1]


def test_published_zoos_are_downloaded_and_stored(command, tmp_path):
    said = ended(
        command(
            "download", "zoo=[mnist,cifar10_cnn_sample]", "zoo.sources.mnist.download.seeds=1-2"
        )
    )
    zoos = tmp_path / "data" / "zoos"
    assert f"mnist: {zoos}/mnist (licence CC-BY-4.0, https://zenodo.org/records/6632086)" in said
    assert len(list(zoos.glob("mnist/tune_zoo_mnist_uniform/*/checkpoint_*/checkpoints"))) == 4
    assert (zoos / "cifar10_cnn_sample" / "cifar10_cnn_sample_ep21-25.zip").is_file()
    ended(command("preprocess", "zoo=mnist"))
    store = TokenStore.open(tmp_path / "data" / "stores" / "mnist.h5")
    (shelf,) = store.architectures
    assert shelf.epochs.tolist() == [21, 25, 21, 25]
    assert shelf.properties["test_acc"].tolist() == pytest.approx([0.71, 0.75] * 2)


def test_a_download_goes_on_after_ctrl_c(command, published, tmp_path):
    published.slowly = 0.05
    process = command("download", "zoo=cifar10_cnn_sample")
    part = tmp_path / "data/zoos/cifar10_cnn_sample/.cifar10_cnn_sample_ep21-25.zip.part"
    deadline = time.monotonic() + 120
    while not (part.exists() and part.stat().st_size > 300_000):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert ended(process, 130) == "mzsane: interrupted; the same command goes on from here"
    assert part.stat().st_size >= 300_000
    published.slowly = 0
    published.seen.clear()
    ended(command("download", "zoo=cifar10_cnn_sample"))
    assert (part.parent / "cifar10_cnn_sample_ep21-25.zip").read_bytes() == published.files[SAMPLE]
    (wanted,) = published.fetched(SAMPLE)
    assert int(wanted[6:-1]) >= 300_000


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["zoo=digits"], "digits cannot be downloaded; name a published zoo"),
        ([], "no zoo is given; name a published zoo"),
        (
            ["zoo=mnist", "zoo.sources.mnist.download.seeds=7"],
            "cnn-small_mnist/: no checkpoint fits",
        ),
    ],
)
def test_a_mistake_ends_in_one_sentence(command, overrides, sentence):
    last = ended(command("download", *overrides), 1)
    assert last.startswith("mzsane: ")
    assert sentence in last
