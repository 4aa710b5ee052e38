"""The real command without the seconds of its imports, in a process forked from one that has them.

Run as a script, this is that process: it reads an order a line, forks, and answers with the exit
code. The fork then is what `python -m MODULE ARGUMENTS` would be: it has the folder, environment
and arguments of the order, and ends as the interpreter ends.
"""

import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOMS = ("analysis", "callbacks", "data", "evaluation", "images", "reports", "sampling", "systems")
IMPORTED = ("pytorch_lightning", "matplotlib.figure", "sklearn.manifold", "hydra",
            *(f"mzsane.{room}" for room in ROOMS))  # fmt: skip


@dataclass
class Warm:
    """Runs commands, one at a time.

    Attributes:
        folder: of what they say.
    """

    folder: Path

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, __file__], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def run(self, module, *arguments, cwd=None, env=None):
        """What `subprocess.run` gives for `python -m module *arguments`."""
        told = [self.folder / name for name in ("stdout", "stderr")]
        order = {
            "module": module, "arguments": [str(one) for one in arguments],
            "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env),
            "told": [str(path) for path in told],
        }  # fmt: skip
        print(json.dumps(order), file=self.process.stdin, flush=True)
        code = json.loads(self.process.stdout.readline())
        return subprocess.CompletedProcess(module, code, *(path.read_text() for path in told))


def orders():
    """Forks for each order; returns that of a fork, None at the end."""
    for line in sys.stdin:
        gc.freeze()  # or the fork's collector copies every page
        child = os.fork()
        if child == 0:
            return json.loads(line)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    return None


def obey(order):
    """Become the command."""
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    for number, path in enumerate(order["told"], 1):
        with Path(path).open("w") as file:
            os.dup2(file.fileno(), number)
    sys.argv = [order["module"], *order["arguments"]]
    sys.path[0] = order["cwd"]
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    for name in IMPORTED:
        importlib.import_module(name)
    if order := orders():
        obey(order)
