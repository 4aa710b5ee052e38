"""What a token store holds.

python -m mzsane.inspect data/stores/digits.h5
python -m mzsane.inspect data/stores/digits.h5 --json --verify
python -m mzsane.inspect data/stores/digits.h5 --skipped
"""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mzsane.stores import Shelf, TokenStore


def describe(store: "TokenStore") -> dict[str, Any]:
    """Everything but the weights, as plain values."""
    return {
        "path": str(store.path),
        "name": store.name,
        "tokens": store.settings,
        "content_hash": store.content_hash,
        "checkpoints": len(store),
        "bytes": store.path.stat().st_size,
        "report": json.loads(store.report.to_json()),
        "provenance": store.provenance,
        "architectures": [_describe_shelf(shelf) for shelf in store.architectures],
    }


def _left_out(store: "TokenStore") -> dict[str, Any]:
    """Members of the zoo that are not in the store."""
    members = [{"path": path, "reason": reason} for path, reason in store.report.skipped]
    return {"skipped": len(members), "members": members}


def _describe_shelf(shelf: "Shelf") -> dict[str, Any]:
    layout, symmetry = shelf.layout, shelf.symmetry
    return {
        "name": shelf.architecture.name if shelf.architecture else None,
        "target": shelf.architecture.target if shelf.architecture else None,
        "checkpoints": len(shelf),
        "models": len(set(shelf.models)),
        "epochs": sorted(set(shelf.epochs.tolist())),
        "weights": layout.parameters,
        "tokens": layout.num_tokens,
        "d_token": layout.d_token,
        "layers": layout.num_layers,
        "dtype": shelf.dtype,
        "symmetry": {group.name: group.size for group in symmetry.groups} if symmetry else None,
        "without symmetry because": shelf.untraced or None,
        "reference": None if shelf.reference is None else _name(shelf, shelf.reference),
        "properties": {name: _range(values) for name, values in sorted(shelf.properties.items())},
    }


def _name(shelf: "Shelf", row: int) -> str:
    return f"{shelf.models[row]} epoch {shelf.epochs[row]}"


def _range(values: np.ndarray) -> str:
    """Of numbers the least, mean and largest; of texts how many different ones."""
    if values.dtype.kind != "f":
        return f"{len(set(values))} different"
    known = values[~np.isnan(values)]
    if not len(known):
        return "unknown"
    return f"{known.min():.4g} to {known.max():.4g}, mean {known.mean():.4g}"


def text(facts: Mapping[str, Any], indent: str = "") -> str:
    """The same facts, a line each."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            lines += [f"{indent}{name}:", text(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for item in value:
                lines += [f"{indent}{name}:", text(item, indent + "  ")]
        elif isinstance(value, list):
            lines.append(f"{indent}{name}: {', '.join(map(str, value)) or 'none'}")
        else:
            lines.append(f"{indent}{name}: {'none' if value is None else value}")
    return "\n".join(lines)


def main() -> None:
    """Entry point of `python -m mzsane.inspect`."""
    parser = argparse.ArgumentParser(prog="mzsane.inspect", description="What a token store holds.")
    parser.add_argument("file", help="a token store (.h5)")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--verify", action="store_true", help="compare the weights with their hash")
    parser.add_argument("--skipped", action="store_true", help="only what was left out, and why")
    arguments = parser.parse_args()
    from mzsane.stores import TokenStore  # torch: not before --help has answered

    try:
        store = TokenStore.open(arguments.file)
        if arguments.verify:
            store.verify()
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"mzsane: {error}")
    facts = _left_out(store) if arguments.skipped else describe(store)
    print(json.dumps(facts) if arguments.json else text(facts))


if __name__ == "__main__":
    main()
