"""What representations of models are good for: properties, neighbours, copies, lineages."""

from mzsane.analysis.copies import copies
from mzsane.analysis.embedding import Embeddings, embed
from mzsane.analysis.fidelity import layer_fidelity
from mzsane.analysis.kin import Kin, all_distances, kin_of, matched_distances, norms
from mzsane.analysis.lineage import Lineage, guess_lineage, quality
from mzsane.analysis.members import Columns, Part, chosen, chunks, columns_of, joined, varying
from mzsane.analysis.neighbours import by_embedding, by_weights
from mzsane.analysis.plans import Plan, wanted_of
from mzsane.analysis.probing import probe
from mzsane.analysis.projection import project
from mzsane.analysis.queries import Query, loose_query, place_of, stored_query
from mzsane.analysis.scopes import Inputs
from mzsane.analysis.streaming import Encoder, embed_parts, read_models

__all__ = [
    "Columns",
    "Embeddings",
    "Encoder",
    "Inputs",
    "Kin",
    "Lineage",
    "Part",
    "Plan",
    "Query",
    "all_distances",
    "by_embedding",
    "by_weights",
    "chosen",
    "chunks",
    "columns_of",
    "copies",
    "embed",
    "embed_parts",
    "guess_lineage",
    "joined",
    "kin_of",
    "layer_fidelity",
    "loose_query",
    "matched_distances",
    "norms",
    "place_of",
    "probe",
    "project",
    "quality",
    "read_models",
    "stored_query",
    "varying",
    "wanted_of",
]
