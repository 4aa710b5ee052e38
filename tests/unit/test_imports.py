"""The arrows between rooms are those of docs/design.md."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mzsane"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if any(path.glob("*.py")))
COMMANDS = (
    "train.py", "preprocess.py", "build_zoo.py", "download.py", "export.py", "opening.py",
    "analysing.py", "embed.py", "evaluate.py", "probe.py", "search.py",
    "anchoring.py", "beforehand.py", "failures.py", "image_sets.py", "opened_zoo.py", "sample.py",
    "trainers.py", "devices.py",
)  # fmt: skip
DOORS = {  # framework -> where it may come in
    "h5py": {"stores"},
    "hydra": {"config.py", "schemas.py", "entry.py", "runs.py", *COMMANDS},
    "omegaconf": {"config.py", "schemas.py", "checking.py", "entry.py", "runs.py", *COMMANDS},
    "pytorch_lightning": {"data/module.py", "systems", "callbacks", "train.py", "trainers.py"},
    "matplotlib": {"reports", "images"},
    "PIL": {"images"},
    "sklearn": {"images", "analysis", "sampling"},
    "pyarrow": {"analysis"},
    "mlxtend": {"images"},
    "datasets": {"images"},
    "huggingface_hub": {"zoos", "models"},
    "pooch": {"zoos"},
    "requests": {"zoos"},
    "distributed": {"stores"},
    "dask": {"stores"},
}


def allowed() -> dict[str, set[str]]:
    """The table of rooms in docs/design.md."""
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*?) \|$", (ROOT / "docs/design.md").read_text(), re.M)
    return {room: set(re.findall(r"\w+", arrows)) for room, arrows in rows}


def imports(path: Path) -> set[str]:
    """Every module that a file imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def rooms_of(path: Path) -> set[str]:
    return {n.split(".")[1] for n in imports(path) if n.startswith("mzsane.")}


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_the_design_allows(room):
    permitted = allowed()[room] | {room}
    for path in (PACKAGE / room).rglob("*.py"):
        assert rooms_of(path) <= permitted, path


@pytest.mark.parametrize("framework", DOORS)
def test_frameworks_stay_at_their_door(framework):
    for path in PACKAGE.rglob("*.py"):
        if framework in {name.split(".")[0] for name in imports(path)}:
            place = path.relative_to(PACKAGE).as_posix()
            assert any(place == door or place.startswith(f"{door}/") for door in DOORS[framework])


def test_the_design_lists_every_room():
    assert {*ROOMS, "files", "progress", "processes"} == set(allowed())
