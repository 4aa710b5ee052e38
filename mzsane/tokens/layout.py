"""The map between a state dict and its tokens, planned once from names and shapes."""

import json
import math
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from mzsane.tokens.entries import (
    Entry,
    check_tensors,
    dtype_name,
    dtype_of,
    is_floating,
)
from mzsane.tokens.layers import Layer, channel_matrices, check_settings, place
from mzsane.tokens.packing import checked, fresh, pack, rows_of, unpack
from mzsane.tokens.places import kind_of, positions_of


@dataclass(frozen=True)
class Layout:
    """How the state dicts of one architecture become tokens, and how tokens become state dicts.

    Lossless: ``detokenize(tokenize(s), carry(s))`` equals ``s`` bit for bit, for every state dict
    of these shapes and dtypes. Every method takes a single model or, with the same leading
    axes on every tensor, a stack of models. Nothing is rounded: tokens of float64 are float64,
    those of mixed half precisions float32, where a NaN may change its bits but stays NaN. Tied
    tensors are tokens as often as they are named.

    Args:
        shapes: name, shape and dtype (``"float32"``) of every tensor of the state dict, in order.
        size: entries per token, at least 1; `Layout.of` derives it from the largest row.
        scheme: ``channel``, the published convention, or ``dense``, in which only the last token
            of a layer is padded and each token has a row index of its own (`place`).
        batchnorm: ``rows`` makes BatchNorm's scale and shift tokens, ``grouped`` its running
            statistics as well, ``ignore`` carries all of it (`channel_matrices`).

    Raises:
        ValueError: if a setting is unknown or `size` is below 1.
    """

    shapes: tuple[Entry, ...]
    size: int
    scheme: str = "channel"
    batchnorm: str = "rows"

    def __post_init__(self) -> None:
        check_settings(self.size, 1, self.scheme, self.batchnorm)

    def __reduce__(self) -> tuple[type["Layout"], tuple[object, ...]]:
        # Without the cached tensors: a worker computes what it needs.
        return Layout, (self.shapes, self.size, self.scheme, self.batchnorm)

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
        check_settings(size, 0, scheme, batchnorm)
        entries = tuple((n, tuple(t.shape), dtype_name(t.dtype)) for n, t in state.items())
        matrices = channel_matrices(entries, batchnorm)
        largest = max((matrix.columns for matrix in matrices), default=1)
        return cls(entries, size or max(largest, 1), scheme, batchnorm)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """Layers in token order."""
        return place(channel_matrices(self.shapes, self.batchnorm), self.size, self.scheme)

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
    def kinds(self) -> tuple[str, ...]:
        """Kind of each layer, one of `mzsane.tokens.KINDS`."""
        return tuple(kind_of(layer, self._floating) for layer in self.layers)

    @cached_property
    def positions(self) -> Int[Tensor, "tokens place"]:
        """Where each token stands, in the columns of `mzsane.tokens.PLACE`.

        In a dense layout the row index is that of the token in its layer.
        """
        return positions_of(self.layers, self.kinds)

    @cached_property
    def mask(self) -> Bool[Tensor, "tokens d_token"]:
        """True where a token holds a weight, False where it is padding."""
        mask = torch.zeros(self.num_tokens, self.size, dtype=torch.bool)
        for layer in self.layers:
            rows_of(mask, layer).fill_(True)
        return mask

    @cached_property
    def index(self) -> Int[Tensor, "tokens d_token"]:
        """Place of each entry in the flat vector, -1 for padding."""
        places = torch.arange(self.parameters)
        flat = {
            name: places[start : start + math.prod(self._floating[name])]
            for name, start in self.offsets.items()
        }
        index = torch.empty(self.num_tokens, self.size, dtype=torch.int64)
        pack(flat, self.layers, index, padding=-1)
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
        models = self._models(state, self._names)
        flat = fresh([state[name] for name in self._floating], (*models, self.parameters))
        for name, start in self.offsets.items():
            values = state[name].reshape(*models, math.prod(self._floating[name]))
            flat.narrow(-1, start, values.shape[-1]).copy_(values)
        return flat

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
            self._models(integers, self._names - self._floating.keys(), models)
        state = {}
        for name, shape, dtype in self.shapes:
            if name in self.offsets:
                values = flat.narrow(-1, self.offsets[name], math.prod(shape))
                state[name] = values.reshape((*models, *shape)).to(dtype_of(dtype))
            elif integers is None:
                state[name] = flat.new_zeros((*models, *shape), dtype=dtype_of(dtype))
            else:
                state[name] = integers[name]
        return state

    def tokenize(
        self, state: Mapping[str, Tensor], out: Tensor | None = None
    ) -> Float[Tensor, "*models tokens d_token"]:
        """Tokens of a state dict, zero where padding, in the narrowest dtype that holds them all.

        Args:
            state: tensors, perhaps stacked over models.
            out: the result of an earlier call, to be overwritten, for loops that are done with one
                model before the next; None takes fresh memory, for tokens that are kept. The first
                touch of fresh memory takes about as long as writing the tokens of a large model.

        Raises:
            ValueError: if a tensor is missing, unknown or of another shape, or `out` is not what a
                call with this state would return.
        """
        models = self._models(state, self._names)
        values = [state[name] for name in self._names - self._carried]
        shape = (*models, self.num_tokens, self.size)
        tokens = fresh(values, shape) if out is None else checked(out, values, shape)
        pack(state, self.layers, tokens, padding=0)
        return tokens

    def carry(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors that are not tokens: integer buffers and BatchNorm's carried tensors.

        Raises:
            ValueError: if a tensor is missing, unknown or of another shape.
        """
        self._models(state, self._names)
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
        self._models(carried, self._carried, models)
        values = unpack(tokens, self.layers)
        return {
            name: carried[name]
            if name in self._carried
            else values[name].reshape((*models, *shape)).to(dtype_of(dtype))
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

    def _models(
        self, state: Mapping[str, Tensor], names: Set[str], models: torch.Size | None = None
    ) -> torch.Size:
        entries = tuple(entry for entry in self.shapes if entry[0] in names)
        return check_tensors(state, entries, models)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(name for name, _, _ in self.shapes)

    @cached_property
    def _floating(self) -> dict[str, tuple[int, ...]]:
        return {name: shape for name, shape, dtype in self.shapes if is_floating(dtype)}

    @cached_property
    def _carried(self) -> frozenset[str]:
        return self._names - {piece.name for layer in self.layers for piece in layer.pieces}
