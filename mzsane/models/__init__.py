"""The sequential autoencoder of weight tokens."""

from mzsane.models.card import Card
from mzsane.models.sane import Sane

__all__ = ["Card", "Sane"]
