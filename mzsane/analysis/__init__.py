"""What representations of models are good for: properties, neighbours, copies, lineages."""

from mzsane.analysis.embedding import Embeddings, embed
from mzsane.analysis.members import Columns, Part, chosen, chunks, columns_of, joined
from mzsane.analysis.probing import Plan, probe
from mzsane.analysis.scopes import Inputs
from mzsane.analysis.streaming import Encoder, embed_parts, read_models

__all__ = [
    "Columns",
    "Embeddings",
    "Encoder",
    "Inputs",
    "Part",
    "Plan",
    "chosen",
    "chunks",
    "columns_of",
    "embed",
    "embed_parts",
    "joined",
    "probe",
    "read_models",
]
