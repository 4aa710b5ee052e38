"""The residual network of the published CIFAR and Tiny-ImageNet zoos."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mzsane.architectures.layers import initialise_weights


class ResNet18(nn.Module):
    """Eighteen layers with residual streams and BatchNorm (He et al. 2015, arXiv:1512.03385).

    Names are torchvision's. As in the published zoos, and for small images, the first convolution
    is 3 x 3 without stride and no pooling follows it: 11,173,962 weights at width 64, ten classes.

    Args:
        channels_in: colours of the images.
        classes: number of logits.
        width: channels of the first stage; the others have 2, 4 and 8 times as many.
        initialisation: ``uniform``, ``normal``, ``kaiming_uniform`` or ``kaiming_normal``.

    Raises:
        ValueError: the initialisation's name is unknown.
    """

    def __init__(
        self,
        channels_in: int = 3,
        classes: int = 10,
        width: int = 64,
        initialisation: str = "kaiming_uniform",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=2)
        self.fc = nn.Linear(8 * width, classes)
        initialise_weights(self, initialisation)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        stream = torch.relu(self.bn1(self.conv1(images)))
        stream = self.layer4(self.layer3(self.layer2(self.layer1(stream))))
        return self.fc(stream.mean(dim=(2, 3)))


class BasicBlock(nn.Module):
    """Two convolutions added to the stream, which is itself projected where its shape changes."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        projected = stride != 1 or channels_in != channels
        self.downsample = _projection(channels_in, channels, stride) if projected else None

    def forward(
        self, stream: Float[Tensor, "batch channels_in height width"]
    ) -> Float[Tensor, "batch channels height_out width_out"]:
        """The stream after the block."""
        residual = torch.relu(self.bn1(self.conv1(stream)))
        residual = self.bn2(self.conv2(residual))
        kept = stream if self.downsample is None else self.downsample(stream)
        return torch.relu(residual + kept)


def _stage(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        BasicBlock(channels_in, channels, stride), BasicBlock(channels, channels, stride=1)
    )


def _projection(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels))
