"""The networks of the field's zoos, and the value that says how to build one."""

from mzsane.architectures.architecture import Architecture
from mzsane.architectures.cnn import CNN, CNN2
from mzsane.architectures.mlp import MLP
from mzsane.architectures.resnet import ResNet18
from mzsane.architectures.stacks import CNN3, LeNet5
from mzsane.architectures.vit import PrefixedViT, ViT

__all__ = ["CNN", "CNN2", "CNN3", "MLP", "Architecture", "LeNet5", "PrefixedViT", "ResNet18", "ViT"]
