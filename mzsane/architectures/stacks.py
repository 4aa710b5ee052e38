"""The larger convolutional networks of the published model zoos: stacks of one pattern."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from mzsane.architectures.layers import dropout_layer, initialise_weights, nonlinearity_named


class Stack(nn.Module):
    """Convolutions and linear layers, each but the last followed by a nonlinearity and dropout.

    Convolutions are not padded and are followed by 2 x 2 max pooling. Dropout layers are there
    even at probability 0, so that the names do not depend on it.

    Args:
        channels: of the images, then of every convolution.
        kernel: height and width of all filters.
        features: of the hidden linear layers.
        classes: number of logits.
        nonlinearity: ``tanh``, ``relu``, ``gelu``, ``sigmoid``, ``leakyrelu`` or ``silu``.
        dropout: probability in [0, 1).
        initialisation: ``uniform`` (U(0, 1)), ``normal`` (N(0, 1)), ``kaiming_uniform`` or
            ``kaiming_normal`` for the weights; biases start at 0.01.
        image_size: height and width of the images.

    Raises:
        ValueError: an unknown name, or images of which no pixel is left.
    """

    def __init__(
        self,
        channels: Sequence[int],
        kernel: int,
        features: Sequence[int],
        classes: int,
        nonlinearity: str,
        dropout: float,
        initialisation: str,
        image_size: Sequence[int],
    ) -> None:
        super().__init__()
        activation = nonlinearity_named(nonlinearity)
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [nn.Conv2d(before, after, kernel), nn.MaxPool2d(2)]
            layers += [activation(), dropout_layer(dropout)]
        layers += [nn.Flatten()]
        pixels = _pixels_left(image_size, kernel, len(channels) - 1)
        features = [channels[-1] * pixels, *features]
        for before, after in pairwise(features):
            layers += [nn.Linear(before, after), activation(), dropout_layer(dropout)]
        self.module_list = nn.Sequential(*layers, nn.Linear(features[-1], classes))
        initialise_weights(self, initialisation)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.module_list(images)


class CNN3(Stack):
    """Three convolutions and two linear layers: 10,853 weights for colour images.

    The network of the CIFAR-10 and STL-10 zoos "large" (Schürholt et al. 2022, arXiv:2209.14764),
    with their names ``module_list.{0,4,8,13,16}``, whatever the dropout.

    Args:
        channels_in: colours of the images.
        classes: number of logits.
        nonlinearity: see `Stack`.
        dropout: see `Stack`.
        initialisation: see `Stack`.
        width: channels after each convolution.
        image_size: height and width of the images, at least 22 pixels each.

    Raises:
        ValueError: an unknown name, or images too small.
    """

    def __init__(
        self,
        channels_in: int = 3,
        classes: int = 10,
        nonlinearity: str = "gelu",
        dropout: float = 0.0,
        initialisation: str = "kaiming_uniform",
        width: Sequence[int] = (16, 32, 15),
        image_size: Sequence[int] = (32, 32),
    ) -> None:
        super().__init__(
            channels=[channels_in, *width],
            kernel=3,
            features=[20],
            classes=classes,
            nonlinearity=nonlinearity,
            dropout=dropout,
            initialisation=initialisation,
            image_size=image_size,
        )


class LeNet5(Stack):
    """Two convolutions and three linear layers (LeCun et al. 1998): 62,006 weights for colour.

    Names are those of the field's zoos: ``module_list.{0,4,9,12,15}``, whatever the dropout.

    Args:
        channels_in: colours of the images.
        classes: number of logits.
        nonlinearity: see `Stack`.
        dropout: see `Stack`.
        initialisation: see `Stack`.
        width: channels after each convolution.
        image_size: height and width of the images, at least 16 pixels each.

    Raises:
        ValueError: an unknown name, or images too small.
    """

    def __init__(
        self,
        channels_in: int = 3,
        classes: int = 10,
        nonlinearity: str = "tanh",
        dropout: float = 0.0,
        initialisation: str = "kaiming_uniform",
        width: Sequence[int] = (6, 16),
        image_size: Sequence[int] = (32, 32),
    ) -> None:
        super().__init__(
            channels=[channels_in, *width],
            kernel=5,
            features=[120, 84],
            classes=classes,
            nonlinearity=nonlinearity,
            dropout=dropout,
            initialisation=initialisation,
            image_size=image_size,
        )


def _pixels_left(image_size: Sequence[int], kernel: int, convolutions: int) -> int:
    """Pixels of one channel after all convolutions."""
    height, width = image_size
    for _ in range(convolutions):
        height, width = ((side - kernel + 1) // 2 for side in (height, width))
    if min(height, width) < 1:
        raise ValueError(
            f"image_size: of {list(image_size)} pixels none is left after {convolutions} "
            "convolutions with pooling; show the images larger"
        )
    return height * width
