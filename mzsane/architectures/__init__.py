"""The networks of the field's zoos, and the value that says how to build one."""

from mzsane.architectures.architecture import Architecture
from mzsane.architectures.cnn import CNN
from mzsane.architectures.mlp import MLP
from mzsane.architectures.resnet import ResNet18

__all__ = ["CNN", "MLP", "Architecture", "ResNet18"]
