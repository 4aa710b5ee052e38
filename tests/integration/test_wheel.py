"""The wheel, used from an empty folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from omegaconf import OmegaConf

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The built wheel, unpacked where only PYTHONPATH leads to it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_holds_every_configuration_file(unpacked):
    packaged = {p.relative_to(unpacked / "mzsane/conf") for p in unpacked.rglob("conf/**/*.yaml")}
    assert packaged == {p.relative_to(ROOT / "conf") for p in (ROOT / "conf").rglob("*.yaml")}


def test_the_wheel_works_from_an_empty_folder(unpacked, tmp_path):
    env = {**os.environ, "PYTHONPATH": str(unpacked)}
    code = "import mzsane.config as c; print(c.CONF_DIR)"
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert shown.stdout.strip() == str(unpacked / "mzsane" / "conf")
    done = subprocess.run(
        [sys.executable, "-m", "mzsane.train", "--cfg", "job", "zoo=[digits,printed]"],
        cwd=tmp_path, env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(OmegaConf.create(done.stdout).zoo.sources) == ["digits", "printed"]


def test_the_console_script_names_an_entry_point(unpacked):
    (metadata,) = unpacked.glob("*.dist-info/entry_points.txt")
    assert "mzsane = mzsane.train:main" in metadata.read_text()
