"""Tokenise and detokenise a ResNet-18, and 1,000 small CNNs at once.

The published figures, and so the targets, are for fresh memory, which is also how mzsane calls
`Layout.tokenize`. The row for memory used again shows what of it is the operating system's share.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from benchmarks.inputs import CNN, RESNET18, RESNET18_TOKEN, state_of
from benchmarks.results import Measurement, Settings
from benchmarks.timing import Work, alternate
from mzsane.tokens import Layout

STACK = 1000
PLAIN = "a Python loop over models, layers and rows; each token a tensor of its own"


def run(settings: Settings) -> list[Measurement]:
    """Milliseconds a call."""
    state = state_of(RESNET18, settings.seed)
    layout = Layout.of(state, RESNET18_TOKEN)
    tokens, carried = layout.tokenize(state), layout.carry(state)
    _check(plain_tokens(state, layout), tokens)

    generator = torch.Generator().manual_seed(settings.seed)
    one = state_of(CNN, settings.seed)
    stack = {k: torch.randn(STACK, *v.shape, generator=generator) for k, v in one.items()}
    models = [{k: v[i] for k, v in stack.items()} for i in range(STACK)]
    small = Layout.of(one)
    stacked = small.tokenize(stack)
    _check(plain_tokens(models[-1], small), stacked[-1])

    resnet, cnns = f"a ResNet-18 ({layout.num_tokens:,} tokens)", f"{STACK:,} CNNs (2,464 weights)"
    return [
        _pair(f"tokenise {resnet}", lambda: layout.tokenize(state),
              lambda: plain_tokens(state, layout), settings.repeats, 6),
        _pair(f"tokenise {resnet} into the same memory",
              lambda: layout.tokenize(state, out=tokens),
              lambda: plain_tokens(state, layout), settings.repeats),
        _pair(f"detokenise {resnet}", lambda: layout.detokenize(tokens, carried),
              lambda: plain_state(tokens, layout, carried), settings.repeats, 1),
        _pair(f"tokenise {cnns}", lambda: small.tokenize(stack),
              lambda: [plain_tokens(model, small) for model in models], settings.few, 20),
        _pair(f"detokenise {cnns}", lambda: small.detokenize(stacked, {}),
              lambda: [plain_state(each, small, {}) for each in stacked], settings.few),
    ]  # fmt: skip


def plain_tokens(state: Mapping[str, Tensor], layout: Layout) -> Tensor:
    """Row by row."""
    tokens = []
    for layer in layout.layers:
        for row in range(layer.rows):
            parts = [state[name].reshape(layer.rows, -1)[row] for name, _ in layer.pieces]
            values = torch.cat(parts)
            missing = layer.tokens_per_row * layout.d_token - len(values)
            padded = torch.cat([values, torch.zeros(missing)])
            tokens.extend(padded.split(layout.d_token))
    return torch.stack(tokens)


def plain_state(tokens: Tensor, layout: Layout, carried: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse, row by row."""
    shapes = {name: shape for name, shape, _ in layout.shapes}
    state = dict(carried)
    for layer in layout.layers:
        rows = []
        for row in range(layer.rows):
            first = layer.first_token + row * layer.tokens_per_row
            values = tokens[first : first + layer.tokens_per_row].flatten()
            rows.append(values[: layer.columns].split([columns for _, columns in layer.pieces]))
        for at, (name, _) in enumerate(layer.pieces):
            state[name] = torch.stack([row[at] for row in rows]).reshape(shapes[name])
    return state


def _pair(
    name: str, own: Work, plain: Work, repeats: int, target: float | None = None
) -> Measurement:
    ours, theirs = (spread.times(1e3) for spread in alternate(own, plain, repeats))
    return Measurement(name, "ms", ours, theirs, target, PLAIN)


def _check(plain: Tensor, own: Tensor) -> None:
    if not torch.equal(plain, own):
        raise ValueError("tokens: the reference and mzsane disagree; compare their layouts")
