"""The sequential autoencoder of weight tokens."""

from mzsane.models.published import load_published
from mzsane.models.sane import Sane

__all__ = ["Sane", "load_published"]
