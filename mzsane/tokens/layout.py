"""The map between a state dict and its tokens, planned once from names and shapes."""

import json
import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mzsane.tokens.layers import Entry, Layer, channel_matrices, is_floating, place

SCHEMES = ("channel",)
BATCHNORM = ("rows", "ignore")


@dataclass(frozen=True)
class Layout:
    """How the state dicts of one architecture become tokens, and how tokens become state dicts.

    Lossless: ``detokenize(tokenize(s), carry(s))`` equals ``s`` bit for bit, for every state dict
    of these shapes and dtypes. Every method takes a single model or, with the same leading
    axes on every tensor, a stack of models.

    Args:
        shapes: name, shape and dtype (``"float32"``) of every tensor of the state dict, in order.
        size: entries per token, at least 1; `Layout.of` derives it from the largest row.
        scheme: ``channel``, the published convention (`channel_matrices`).
        batchnorm: ``rows`` makes BatchNorm's scale and shift tokens, ``ignore`` carries them.

    Raises:
        ValueError: if a setting is unknown or `size` is below 1.
    """

    shapes: tuple[Entry, ...]
    size: int
    scheme: str = "channel"
    batchnorm: str = "rows"

    def __post_init__(self) -> None:
        _check_settings(self.size, 1, self.scheme, self.batchnorm)

    @classmethod
    def of(
        cls,
        state: Mapping[str, Tensor],
        size: int = 0,
        scheme: str = "channel",
        batchnorm: str = "rows",
    ) -> "Layout":
        """The layout of one state dict, of which only names, shapes and dtypes are read.

        Args:
            state: state dict of a single model.
            size: entries per token; 0 takes the largest row of any layer.
            scheme: see `Layout`.
            batchnorm: see `Layout`.

        Raises:
            ValueError: if a setting is unknown or `size` is negative.
        """
        _check_settings(size, 0, scheme, batchnorm)
        entries = tuple((n, tuple(t.shape), _name(t.dtype)) for n, t in state.items())
        matrices = channel_matrices(entries, batchnorm)
        largest = max((matrix.columns for matrix in matrices), default=1)
        return cls(entries, size or max(largest, 1), scheme, batchnorm)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Layers in token order."""
        return place(channel_matrices(self.shapes, self.batchnorm), self.size)

    @property
    def d_token(self) -> int:
        """Entries per token."""
        return self.size

    @property
    def num_layers(self) -> int:
        """Layers, that is, one more than the largest layer index in `positions`."""
        return len(self.layers)

    @property
    def num_tokens(self) -> int:
        """Length of the token sequence."""
        return sum(layer.num_tokens for layer in self.layers)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Place of each floating-point tensor in the flat vector, in state-dict order."""
        offsets, end = {}, 0
        for name, shape in self._floating.items():
            offsets[name] = end
            end += math.prod(shape)
        return offsets

    @cached_property
    def parameters(self) -> int:
        """Length of the flat vector: all floating-point values, tokens or carried."""
        return sum(math.prod(shape) for shape in self._floating.values())

    @cached_property
    def positions(self) -> Int[Tensor, "tokens 3"]:
        """Token index in the model, layer index, row index in the layer."""
        counts = torch.tensor([layer.num_tokens for layer in self.layers], dtype=torch.int64)
        first = torch.tensor([layer.first_token for layer in self.layers], dtype=torch.int64)
        per_row = torch.tensor([layer.tokens_per_row for layer in self.layers], dtype=torch.int64)
        token = torch.arange(self.num_tokens)
        layer = torch.repeat_interleave(counts)
        row = (token - first[layer]) // per_row[layer]
        return torch.stack([token, layer, row], dim=1)

    @cached_property
    def mask(self) -> Bool[Tensor, "tokens d_token"]:
        """True where a token holds a weight, False where it is padding."""
        mask = torch.zeros(self.num_tokens, self.size, dtype=torch.bool)
        for layer in self.layers:
            _block(mask, layer).fill_(True)
        return mask

    @cached_property
    def index(self) -> Int[Tensor, "tokens d_token"]:
        """Place of each entry in the flat vector, -1 for padding."""
        places = torch.arange(self.parameters)
        flat = {
            name: places[start : start + math.prod(self._floating[name])]
            for name, start in self.offsets.items()
        }
        index = torch.full((self.num_tokens, self.size), -1)
        self._write(flat, index)
        return index

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shapes and settings."""
        return sha256(self.to_json().encode()).hexdigest()

    def flatten(self, state: Mapping[str, Tensor]) -> Float[Tensor, "*models parameters"]:
        """All floating-point tensors as one vector, in the narrowest dtype that holds them all.

        Raises:
            ValueError: if a tensor is missing, unknown or of another shape.
        """
        models = self._check(state, self._names)
        if not self._floating:
            return torch.zeros(*models, 0)
        dtype = _common(state[name].dtype for name in self._floating)
        parts = [
            state[name].reshape(*models, math.prod(shape)).to(dtype)
            for name, shape in self._floating.items()
        ]
        return torch.cat(parts, dim=-1)

    def unflatten(
        self,
        flat: Float[Tensor, "*models parameters"],
        integers: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """Inverse of `flatten`; tensors are views of `flat` where their dtype is its dtype.

        Args:
            flat: result of `flatten`.
            integers: the tensors that are not floating-point; None makes them zeros.

        Raises:
            ValueError: if `flat` has another length, or `integers` other tensors or shapes.
        """
        if flat.shape[-1] != self.parameters:
            raise ValueError(
                f"the flat vector has {flat.shape[-1]} values, this layout {self.parameters}; "
                "take the layout it was flattened with"
            )
        models = flat.shape[:-1]
        if integers is not None:
            self._check(integers, self._names - self._floating.keys(), models)
        state = {}
        for name, shape, dtype in self.shapes:
            if name in self.offsets:
                values = flat.narrow(-1, self.offsets[name], math.prod(shape))
                state[name] = values.reshape(*models, *shape).to(_dtype(dtype))
            elif integers is None:
                state[name] = flat.new_zeros((*models, *shape), dtype=_dtype(dtype))
            else:
                state[name] = integers[name]
        return state

    def tokenize(self, state: Mapping[str, Tensor]) -> Float[Tensor, "*models tokens d_token"]:
        """Tokens of a state dict, zero where padding, in the narrowest dtype that holds them all.

        Raises:
            ValueError: if a tensor is missing, unknown or of another shape.
        """
        models = self._check(state, self._names)
        values = [state[name] for name in self._names - self._carried]
        dtype = _common(value.dtype for value in values) if values else torch.get_default_dtype()
        device = values[0].device if values else None
        tokens = torch.zeros(*models, self.num_tokens, self.size, dtype=dtype, device=device)
        self._write(state, tokens)
        return tokens

    def carry(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that are not tokens: integer buffers and BatchNorm's carried tensors.

        Raises:
            ValueError: if a tensor is missing, unknown or of another shape.
        """
        self._check(state, self._names)
        return {name: state[name] for name, _, _ in self.shapes if name in self._carried}

    def detokenize(
        self,
        tokens: Shaped[Tensor, "*models tokens d_token"],
        carried: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """Inverse of `tokenize` and `carry`; tensors are views of `tokens` where dtypes agree.

        Raises:
            ValueError: if `tokens` or a carried tensor does not have this layout's shape.
        """
        if tokens.shape[-2:] != (self.num_tokens, self.size):
            raise ValueError(
                f"the tokens are {list(tokens.shape[-2:])}, this layout has "
                f"{[self.num_tokens, self.size]}; take the layout they were made with"
            )
        models = tokens.shape[:-2]
        self._check(carried, self._carried, models)
        values: dict[str, Tensor] = {}
        for layer in self.layers:
            parts = _block(tokens, layer).split([p.columns for p in layer.pieces], dim=-1)
            values.update({p.name: part for p, part in zip(layer.pieces, parts, strict=True)})
        return {
            name: carried[name]
            if name in self._carried
            else values[name].reshape(*models, *shape).to(_dtype(dtype))
            for name, shape, dtype in self.shapes
        }

    def to_json(self) -> str:
        """The layout as one line of JSON."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Layout":
        """Inverse of `to_json`.

        Raises:
            ValueError: if `text` is not a layout's JSON.
        """
        try:
            fields = json.loads(text)
            entries = tuple((name, tuple(shape), dtype) for name, shape, dtype in fields["shapes"])
            return cls(entries, fields["size"], fields["scheme"], fields["batchnorm"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"not a layout's JSON: {text[:60]!r}") from error

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(name for name, _, _ in self.shapes)

    @cached_property
    def _floating(self) -> dict[str, tuple[int, ...]]:
        return {name: shape for name, shape, dtype in self.shapes if is_floating(dtype)}

    @cached_property
    def _carried(self) -> frozenset[str]:
        return self._names - {piece.name for layer in self.layers for piece in layer.pieces}

    def _write(self, state: Mapping[str, Tensor], tokens: Tensor) -> None:
        for layer in self.layers:
            parts = _block(tokens, layer).split([p.columns for p in layer.pieces], dim=-1)
            for piece, part in zip(layer.pieces, parts, strict=True):
                part.copy_(state[piece.name].reshape(part.shape))

    def _check(
        self, state: Mapping[str, Tensor], names: Set[str], models: torch.Size | None = None
    ) -> torch.Size:
        """Compare names and shapes with the layout's, and return the leading model axes."""
        if missing := names - state.keys():
            raise ValueError(f"{min(missing)}: missing; this layout expects {len(names)} tensors")
        if extra := state.keys() - names:
            raise ValueError(f"{min(extra)}: not in this layout; make one with Layout.of")
        for name, shape, _ in self.shapes:
            if name in names:
                found = state[name].shape
                models = found[: len(found) - len(shape)] if models is None else models
                if found != (*models, *shape):
                    raise ValueError(
                        f"{name}: shape {list(found)} found, {[*models, *shape]} expected"
                    )
        return torch.Size() if models is None else models


def _check_settings(size: int, smallest: int, scheme: str, batchnorm: str) -> None:
    if size < smallest:
        raise ValueError(f"token size {size}: at least {smallest} is needed")
    if scheme not in SCHEMES:
        raise ValueError(f"token scheme {scheme!r}: choose from {', '.join(SCHEMES)}")
    if batchnorm not in BATCHNORM:
        raise ValueError(f"batchnorm {batchnorm!r}: choose from {', '.join(BATCHNORM)}")


def _block(tokens: Tensor, layer: Layer) -> Tensor:
    """A layer's rows without their padding: a view, if `tokens` is contiguous."""
    rows = tokens.narrow(-2, layer.first_token, layer.num_tokens)
    width = layer.tokens_per_row * tokens.shape[-1]
    return rows.reshape(*tokens.shape[:-2], layer.rows, width)[..., : layer.columns]


def _common(dtypes: Iterable[torch.dtype]) -> torch.dtype:
    """The narrowest of the given dtypes, float32 and float64 that holds all without loss."""
    distinct = set(dtypes)
    if len(distinct) == 1:
        return distinct.pop()
    return torch.float64 if torch.float64 in distinct else torch.float32


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _dtype(name: str) -> torch.dtype:
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype
