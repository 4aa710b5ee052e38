"""Token stores: one HDF5 file per source of models, written once and mapped into memory."""

from mzsane.stores.crew import Crew
from mzsane.stores.preparing import prepare
from mzsane.stores.reading import TokenStore
from mzsane.stores.report import Report
from mzsane.stores.shelf import Shelf
from mzsane.stores.source import Source
from mzsane.stores.writing import write_store

__all__ = ["Crew", "Report", "Shelf", "Source", "TokenStore", "prepare", "write_store"]
