"""Runs the networks that windows hold whole, so that a loss can compare what they do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.func import functional_call, vmap

from mzsane.data import Batch, counter_choice
from mzsane.losses import Answers

Tokens = Float[Tensor, "networks tokens d_token"]
Images = Float[Tensor, "images channels height width"]


@dataclass(eq=False)
class Answering:
    """The networks of one shelf, and the images that they are asked about.

    Attributes:
        shelf: its number, see `mzsane.data.Batch`.
        num_tokens: of a network, no more than a window has.
        detokenize: from tokens to the network's tensors, stacked over networks.
        network: runs them; its own parameters are not read and may lie on the meta device.
        images: of a training split; they move to the device of the first batch.
    """

    shelf: int
    num_tokens: int
    detokenize: Callable[[Tokens], Mapping[str, Tensor]]
    network: nn.Module
    images: Images

    def answer(
        self, tokens: Tokens, places: Int[Tensor, "networks queries"]
    ) -> Float[Tensor, "networks queries classes"]:
        """Logits of each network for its own images."""
        # In full precision: the difference of rounded answers would be noise.
        with torch.autocast(tokens.device.type, enabled=False):
            tensors = self.detokenize(tokens)
            tensors = {name: tensor.to(self.images.dtype) for name, tensor in tensors.items()}
            network = partial(functional_call, self.network.eval())
            return vmap(network)(tensors, self.images[places])


class Networks:
    """What original and reconstructed networks answer to images.

    All shelves' networks run on all windows, so that shapes never depend on the batch; where a
    window holds another one, weights are zeros. The cost of a step grows with the number of
    shelves. Of packed windows the first network is asked.

    Args:
        shelves: at least one; windows of other shelves are not asked.
    """

    def __init__(self, shelves: Sequence[Answering]) -> None:
        self.shelves = tuple(shelves)

    def answers(
        self,
        batch: Batch,
        prediction: Float[Tensor, "windows window d_token"],
        seed: int,
        queries: int,
    ) -> tuple[Answers, ...]:
        """One entry a shelf, with the networks of both views.

        Args:
            batch: its keys and `seed` decide about what each network is asked.
            prediction: reconstructed tokens of both views, those of a sample next to each other.
            seed: of the run.
            queries: images for each network.
        """
        return tuple(self._ask(shelf, batch, prediction, seed, queries) for shelf in self.shelves)

    def _ask(
        self, shelf: Answering, batch: Batch, prediction: Tensor, seed: int, queries: int
    ) -> Answers:
        views = batch.values.shape[1]
        shelf.images = shelf.images.to(prediction.device)
        places = counter_choice(seed, batch.key, queries, len(shelf.images))
        real = batch.shelf == shelf.shelf
        with torch.no_grad():  # the views of a sample do the same
            clean = _only(batch.values[:, 0, : shelf.num_tokens], real)
            original = shelf.answer(clean, places).repeat_interleave(views, 0)
        real, places = (x.repeat_interleave(views, 0) for x in (real, places))
        decoded = _only(prediction[:, : shelf.num_tokens], real)
        return Answers(original, shelf.answer(decoded, places), real)


def _only(tokens: Tokens, real: Tensor) -> Tokens:
    """Zeros for other networks, whose weights could give anything, also NaN."""
    return tokens.masked_fill(~real[:, None, None], 0)
