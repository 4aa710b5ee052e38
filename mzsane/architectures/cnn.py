"""The small convolutional networks of the published model zoos."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from mzsane.architectures.layers import dropout_layers, initialise_weights, nonlinearity_named

HIDDEN = 20  # features between the two linear layers


class CNN(nn.Module):
    """Three convolutions and two linear layers: 2,464 weights for grey images, 2,864 for colour.

    The network of the MNIST, Fashion-MNIST, SVHN, USPS, CIFAR-10 and STL-10 zoos "small"
    (Schürholt et al. 2022, arXiv:2209.14764), with their names: ``module_list.{0,3,6,9,11}``
    without dropout and ``module_list.{0,4,8,11,14}`` with it.

    Args:
        channels_in: colours of the images.
        classes: number of logits.
        nonlinearity: ``tanh``, ``relu``, ``gelu``, ``sigmoid``, ``leakyrelu`` or ``silu``.
        dropout: probability in [0, 1), after every nonlinearity but the third.
        initialisation: ``uniform`` (U(0, 1)), ``normal`` (N(0, 1)), ``kaiming_uniform`` or
            ``kaiming_normal`` for the weights; biases start at 0.01.
        width: channels after each of the three convolutions.
        image_size: height and width of the images, at least 20 pixels each.

    Raises:
        ValueError: an unknown name, a width that is not three numbers, images too small.
    """

    def __init__(
        self,
        channels_in: int = 1,
        classes: int = 10,
        nonlinearity: str = "tanh",
        dropout: float = 0.0,
        initialisation: str = "kaiming_uniform",
        width: Sequence[int] = (8, 6, 4),
        image_size: Sequence[int] = (28, 28),
    ) -> None:
        super().__init__()
        if len(width) != 3:
            raise ValueError(f"width: {list(width)} is not one number for each of 3 convolutions")
        first, second, third = width
        activation = nonlinearity_named(nonlinearity)
        self.module_list = nn.Sequential(
            *[nn.Conv2d(channels_in, first, 5), nn.MaxPool2d(2), activation()],
            *dropout_layers(dropout),
            *[nn.Conv2d(first, second, 5), nn.MaxPool2d(2), activation()],
            *dropout_layers(dropout),
            *[nn.Conv2d(second, third, 2), activation(), nn.Flatten()],
            *[nn.Linear(third * _pixels_left(image_size), HIDDEN), activation()],
            *dropout_layers(dropout),
            nn.Linear(HIDDEN, classes),
        )
        initialise_weights(self, initialisation)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.module_list(images)


class CNN2(CNN):
    """The wider `CNN` of some published zoos: 3,347 weights for colour, names as there.

    Args:
        channels_in: colours of the images.
        classes: number of logits.
        nonlinearity: see `CNN`.
        dropout: see `CNN`.
        initialisation: see `CNN`.
        width: channels after each of the three convolutions.
        image_size: height and width of the images, at least 20 pixels each.

    Raises:
        ValueError: an unknown name, a width that is not three numbers, images too small.
    """

    def __init__(
        self,
        channels_in: int = 3,
        classes: int = 10,
        nonlinearity: str = "tanh",
        dropout: float = 0.0,
        initialisation: str = "kaiming_uniform",
        width: Sequence[int] = (6, 9, 6),
        image_size: Sequence[int] = (28, 28),
    ) -> None:
        super().__init__(
            channels_in, classes, nonlinearity, dropout, initialisation, width, image_size
        )


def _pixels_left(image_size: Sequence[int]) -> int:
    """Pixels of one channel after the convolutions: 9 of 28 x 28."""
    height, width = (((side - 4) // 2 - 4) // 2 - 1 for side in image_size)
    if min(height, width) < 1:
        raise ValueError(f"image_size: {list(image_size)} is less than the 20 x 20 a CNN needs")
    return height * width
