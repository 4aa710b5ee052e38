"""Finds `conf/`, and builds what a configuration names."""

import difflib
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig

_PACKAGED = Path(__file__).parent / "conf"  # in a wheel
CONF_DIR = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1] / "conf"


def build(node: DictConfig, /, **runtime: Any) -> Any:
    """Construct what `node` names; `runtime` adds arguments known only during the run."""
    if not runtime:
        return instantiate(node, _convert_="all")
    # as a partial, because Hydra would turn dataclasses among `runtime` into configurations
    return instantiate(node, _convert_="all", _partial_=True)(**runtime)


def build_all(group: DictConfig, /, **runtime: Any) -> dict[str, Any]:
    """Construct every member of a group; a member set to null is left out."""
    return {str(name): build(node, **runtime) for name, node in group.items() if node is not None}


def suggest(name: str, known: list[str]) -> str:
    """`; did you mean 'x'?` where a known name is close, else the list of known names."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there is: {', '.join(sorted(known))}"
