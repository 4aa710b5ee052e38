"""The residual network of the published zoos of CIFAR, Tiny-ImageNet and SVHN, in any width."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mzsane.architectures.layers import initialise_weights


class ResNet18(nn.Module):
    """Eighteen layers with residual streams and BatchNorm (He et al. 2015, arXiv:1512.03385).

    Names are torchvision's. With the stem for small images, as in the zoos of CIFAR and
    Tiny-ImageNet (arXiv:2209.14764), it has 11,173,962 weights at width 64 and ten classes. The
    zoos of phase transitions (arXiv:2504.18072) have widths from 2 to 256 and the original stem.

    Args:
        channels_in: colours of the images.
        classes: number of logits.
        width: channels of the first stage; the others have 2, 4 and 8 times as many.
        initialisation: ``uniform``, ``normal``, ``kaiming_uniform`` or ``kaiming_normal``.
        stem: the first convolution: ``cifar`` is 3 x 3 at full resolution; ``imagenet`` is 7 x 7
            with stride 2, followed by max pooling, which leaves a sixteenth of the pixels.
        shortcut: what the projections of the stream are called: ``downsample``, as torchvision
            does, or ``shortcut``, as in zoos of the slim ResNet-18.

    Raises:
        ValueError: an unknown name.
    """

    def __init__(
        self,
        channels_in: int = 3,
        classes: int = 10,
        width: int = 64,
        initialisation: str = "kaiming_uniform",
        stem: str = "cifar",
        shortcut: str = "downsample",
    ) -> None:
        super().__init__()
        _require_known("stem", stem, ("cifar", "imagenet"))
        _require_known("shortcut", shortcut, ("downsample", "shortcut"))
        kernel, stride, padding = (3, 1, 1) if stem == "cifar" else (7, 2, 3)
        self.conv1 = nn.Conv2d(channels_in, width, kernel, stride, padding, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.Identity() if stem == "cifar" else nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = _stage(width, width, 1, shortcut)
        self.layer2 = _stage(width, 2 * width, 2, shortcut)
        self.layer3 = _stage(2 * width, 4 * width, 2, shortcut)
        self.layer4 = _stage(4 * width, 8 * width, 2, shortcut)
        self.fc = nn.Linear(8 * width, classes)
        initialise_weights(self, initialisation)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        stream = self.maxpool(torch.relu(self.bn1(self.conv1(images))))
        stream = self.layer4(self.layer3(self.layer2(self.layer1(stream))))
        return self.fc(stream.mean(dim=(2, 3)))


class BasicBlock(nn.Module):
    """Two convolutions added to the stream, which is itself projected where its shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        projected = stride != 1 or channels_in != channels
        self.shortcut_name = shortcut
        self.add_module(
            shortcut, _projection(channels_in, channels, stride) if projected else nn.Identity()
        )

    def forward(
        self, stream: Float[Tensor, "batch channels_in height width"]
    ) -> Float[Tensor, "batch channels height_out width_out"]:
        """The stream after the block."""
        residual = torch.relu(self.bn1(self.conv1(stream)))
        residual = self.bn2(self.conv2(residual))
        return torch.relu(residual + getattr(self, self.shortcut_name)(stream))


def _stage(channels_in: int, channels: int, stride: int, shortcut: str) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(channels_in, channels, stride, shortcut),
        BasicBlock(channels, channels, 1, shortcut),
    )


def _projection(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))


def _require_known(argument: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{argument}: {value!r} is unknown; choose one of {', '.join(known)}")
