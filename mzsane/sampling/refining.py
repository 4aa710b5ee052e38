"""Latents that are moved until the networks decoded from them do their task better."""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mzsane.models import Sane
from mzsane.sampling.anchors import Anchors
from mzsane.sampling.generate import decode_models
from mzsane.sampling.windows import content_of, evaluating, windows_of_pass
from mzsane.tokens import Layout, halo_own, halo_places

REFINING = 11  # purpose of the random draw, see docs/design.md

Latents = Float[Tensor, "tokens latent"]
Images = Float[Tensor, "images channels height width"]


def refine(
    model: Sane,
    latents: Float[Tensor, "models tokens latent"],
    anchors: Anchors,
    images: Images,
    labels: Int[Tensor, " images"],
    steps: int,
    lr: float,
    seed: int,
    window: int,
    halo: int,
    batch_size: int = 128,
    carried: Mapping[str, Tensor] | None = None,
) -> Float[Tensor, "models tokens latent"]:
    r"""Descend the task loss of the decoded networks, in latents instead of weights.

    .. math:: z \leftarrow z - \eta\, \mathrm{Adam}\left(
              \nabla_z\, \mathrm{CE}(f_{\mathrm{decode}(z)}(x), y)\right)

    The budget is `steps` forward and backward passes of each network on a batch of images, that of
    as many steps of fine-tuning; passes of the decoder (two forward, one backward a step) come on
    top. Networks normalise by the statistics of the batch, as in training, and have no dropout.
    Gradients go through a few windows at a time, so that memory does not grow with the model.

    Args:
        model: the autoencoder, which stays as it is.
        latents: to begin with; not changed.
        anchors: of the models' architecture and layout.
        images: to train on, of the train split.
        labels: theirs.
        steps: budget, at least 0.
        lr: size of a step, in units of latents.
        seed: decides which images each model sees when.
        window: as in `mzsane.sampling.encode`.
        halo: as in `mzsane.sampling.encode`.
        batch_size: images a step; all if there are fewer.
        carried: as in `mzsane.sampling.decode_models`.

    Raises:
        ValueError: the architecture is unknown, or has fewer classes than the images.
    """
    _require_classes(anchors, labels)
    device = next(model.parameters()).device
    refined = latents.clone()
    network = _network(anchors).to(device)
    with evaluating(model), torch.enable_grad():
        for number, start in enumerate(latents):
            one = start.to(device, copy=True).requires_grad_()
            optimizer = torch.optim.Adam([one], lr=lr)
            own = carried and {name: t[number : number + 1] for name, t in carried.items()}
            for batch in _batches(len(images), batch_size, steps, [seed, REFINING, number]):
                weights = _decoded(model, one, anchors, window, halo, own)
                shown = images[batch].to(device), labels[batch].to(device)
                slope = _slope(network, anchors.layout, weights, *shown)
                one.grad = _pulled_back(model, one.detach(), slope, anchors, window, halo)
                optimizer.step()
            refined[number] = one.detach()
    return refined


def _decoded(
    model: Sane,
    latents: Latents,
    anchors: Anchors,
    window: int,
    halo: int,
    carried: Mapping[str, Tensor] | None,
) -> dict[str, Tensor]:
    """The tensors of one network."""
    some = latents.detach()[None]
    population = decode_models(model, some, anchors, window, halo, carried=carried)
    return population.to(latents.device).state(0)


def _slope(
    network: nn.Module,
    layout: Layout,
    weights: dict[str, Tensor],
    images: Images,
    labels: Int[Tensor, " images"],
) -> Float[Tensor, "tokens d_token"]:
    """Gradient of the cross-entropy with respect to every token entry; zero for padding.

    Taking tensors out of tokens only moves numbers, so that its transpose is putting them in.
    """
    free = {
        name: tensor.clone().requires_grad_() if tensor.is_floating_point() else tensor.clone()
        for name, tensor in weights.items()
    }
    logits = torch.func.functional_call(network, free, (images,))
    leaves = [name for name, tensor in free.items() if tensor.requires_grad]
    found = torch.autograd.grad(
        cross_entropy(logits, labels), [free[name] for name in leaves], allow_unused=True
    )
    slopes = {name: torch.zeros_like(tensor) for name, tensor in weights.items()}
    slopes |= {name: g for name, g in zip(leaves, found, strict=True) if g is not None}
    return layout.tokenize(slopes).float()


def _pulled_back(
    model: Sane,
    latents: Latents,
    slope: Float[Tensor, "tokens d_token"],
    anchors: Anchors,
    window: int,
    halo: int,
) -> Latents:
    """Gradient with respect to latents, from that with respect to the tokens they decode to."""
    length, positions = len(latents), anchors.layout.positions
    content, halo = content_of(length, window, halo)
    places = halo_places(length, content, halo)
    own = halo_own(places, content).unsqueeze(-1)
    together = windows_of_pass(places.shape[1], latents.device)
    gradient = torch.zeros_like(latents)
    for some, kept in zip(places.split(together), own.split(together), strict=True):
        at = some.to(latents.device)
        seen = latents[at].requires_grad_()
        tokens = model.decode(seen, positions[some].to(latents.device), None)
        wanted = slope.to(tokens)[at] * kept.to(latents.device)
        (found,) = torch.autograd.grad(tokens, seen, wanted)
        gradient.index_add_(0, at.flatten(), found.flatten(0, 1))
    return gradient


def _network(anchors: Anchors) -> nn.Module:
    """BatchNorm takes the batch's statistics, dropout is off."""
    network = anchors.architecture.build().eval()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.train()
            module.track_running_stats = False  # those that are given stay as they are
    return network


def _batches(count: int, size: int, steps: int, name: list[int]) -> Iterator[Int[Tensor, " batch"]]:
    """Indices of images, each epoch in an order of its own."""
    rng = np.random.default_rng(name)
    waiting = np.empty(0, np.int64)
    for _ in range(steps):
        if len(waiting) < min(size, count):
            waiting = rng.permutation(count)
        taken, waiting = waiting[:size], waiting[size:]
        yield torch.from_numpy(taken)


def _require_classes(anchors: Anchors, labels: Int[Tensor, " images"]) -> None:
    if anchors.architecture is None:
        raise ValueError(f"{anchors.source}: it is not known how to build these networks")
    if int(labels.max()) >= anchors.architecture.classes:
        raise ValueError(
            f"{anchors.source}: the images have {int(labels.max()) + 1} classes, "
            f"{anchors.architecture.name} {anchors.architecture.classes}; take other images"
        )
