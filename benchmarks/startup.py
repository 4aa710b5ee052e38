"""How long the command takes to answer, and to take its first step where stores are in place."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytorch_lightning as pl

from benchmarks.results import Measurement, Settings
from benchmarks.timing import Spread, seconds

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-m", "mzsane.train")
ZOO = (  # that of debug=fast
    "zoo=digits",
    "zoo.build_models=12",
    "zoo_dir=${data_dir}/fast/zoos",
    "store_dir=${data_dir}/fast/stores",
    "hydra.run.dir=${data_dir}/stores-run",
)
FAST = ("debug=fast", "resume=false", "hydra.run.dir=${data_dir}/run")
LEAVE = "+callbacks.leave={_target_: benchmarks.startup.Leave}"


def run(settings: Settings) -> list[Measurement]:
    """Wall time of whole processes."""
    with TemporaryDirectory() as data:
        call([sys.executable, "-m", "mzsane.preprocess", *ZOO], data)
        return [
            _measure("--help", [*COMMAND, "--help"], data, settings),
            _measure("--cfg job", [*COMMAND, "--cfg", "job"], data, settings),
            _measure("the first step", [*COMMAND, *FAST, LEAVE], data, settings),
        ]


class Leave(pl.Callback):
    """Ends the process when the first step is done."""

    def on_train_batch_end(self, *arguments: Any) -> None:
        """No report is to be measured."""
        os._exit(0)


def call(command: Sequence[str], data: str) -> None:
    """Run a command to its end.

    Raises:
        subprocess.CalledProcessError: if it fails; it has said why.
    """
    environment = os.environ | {"MZSANE_DATA": data}
    subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def _measure(until: str, command: Sequence[str], data: str, settings: Settings) -> Measurement:
    spread: Spread = seconds(lambda: call(command, data), settings.repeats)
    return Measurement(f"python -m mzsane.train to {until}", "s", spread)
